"""Uploads by two clients that front-ends use: Apollo's and Python's gql, against a live server."""

import subprocess
from pathlib import Path

import httpx
import pytest
from gql import Client, FileVar, gql
from gql.transport.httpx import HTTPXTransport

from tests.live import sign_in
from tests.web.test_reference_clients import WEB

PORTRAIT = Path(__file__).parents[2] / "sandbox" / "portrait.jpg"
UPLOAD = """
mutation ($file: Upload!) {
  uploadPortrait(file: $file) {
    __typename
    ... on PortraitPreview { portraitId accepted }
    ... on Refusal { code message }
  }
}
"""


def missing() -> str | None:
    if not (WEB / "node_modules" / "apollo-upload-client").is_dir():
        return "web/node_modules is missing: run npm ci in web/"
    return None


@pytest.mark.skipif(missing() is not None, reason=f"APOLLO'S CLIENT IS NOT RUN: {missing()}")
def test_apollos_client_uploads_a_portrait(live_server: str) -> None:
    finished = subprocess.run(  # noqa: S603 - our own script
        ["node", "tests/uploads.mjs", "--base-url", live_server, "--portrait", str(PORTRAIT)],  # noqa: S607
        cwd=WEB,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "apollo-upload-client: PortraitPreview" in finished.stdout


def test_pythons_client_uploads_a_portrait(live_server: str) -> None:
    with httpx.Client(base_url=live_server, trust_env=False, timeout=30) as http:
        headers = {"Authorization": f"Bearer {sign_in(http, 'no-card')}"}
    transport = HTTPXTransport(
        url=f"{live_server}/graphql", headers=headers, timeout=30, trust_env=False
    )

    with Client(transport=transport) as session:
        request = gql(UPLOAD)
        request.variable_values = {"file": FileVar(str(PORTRAIT), content_type="image/jpeg")}
        answer = session.execute(request, upload_files=True)

    assert answer["uploadPortrait"]["__typename"] == "PortraitPreview"
