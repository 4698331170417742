"""`card-gateway operation-manifest`: what a front-end's build step runs."""

import hashlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.kernel.settings import SettingsError
from gateway.cli.main import cli
from gateway.http.admission import read_manifest

CHANNELS = "query Channels { channels { id name } }\n"


def test_prints_a_manifest_that_the_gateway_reads(tmp_path: Path) -> None:
    document = tmp_path / "channels.graphql"
    document.write_text(CHANNELS)

    finished = CliRunner().invoke(cli, ["operation-manifest", str(document)])

    assert finished.exit_code == 0
    manifest = tmp_path / "manifest.json"
    manifest.write_text(finished.stdout)
    digest = hashlib.sha256(CHANNELS.encode()).hexdigest()
    assert read_manifest(manifest) == {f"sha256:{digest}": CHANNELS}


@pytest.mark.parametrize("text", ["{ nothing }", "{", "query { viewer { name }"])
def test_refuses_a_document_that_may_not_run(tmp_path: Path, text: str) -> None:
    document = tmp_path / "wrong.graphql"
    document.write_text(text)

    finished = CliRunner().invoke(cli, ["operation-manifest", str(document)])

    assert isinstance(finished.exception, SettingsError)
    assert "wrong.graphql" in str(finished.exception)
    assert finished.stdout == ""
