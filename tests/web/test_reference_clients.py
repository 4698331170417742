"""The endpoint as the reference clients of the GraphQL world see it."""

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"


def missing() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed"
    if not (WEB / "node_modules" / "graphql-http").is_dir():
        return "web/node_modules is missing: run npm ci in web/"
    return None


@pytest.mark.skipif(missing() is not None, reason=f"NO REFERENCE CLIENTS RUN: {missing()}")
@pytest.mark.parametrize(
    ("script", "says"),
    [("audits.mjs", "61 of 61 audits pass"), ("streams.mjs", "graphql-sse: 3 nodes done, then 4")],
)
def test_reference_clients_are_content(live_server: str, script: str, says: str) -> None:
    command = ["node", f"tests/{script}", "--base-url", live_server]

    finished = subprocess.run(  # noqa: S603 - our own script
        command, cwd=WEB, capture_output=True, text=True, timeout=120, check=False
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert says in finished.stdout
