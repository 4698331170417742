"""Files and folders that a running gateway leaves are for its own user alone."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from core import migrations
from core.kernel.settings import Settings
from gateway.cli.private_files import make_private
from sandbox.keys import stored_key
from tests.live import serving, sign_in

UPLOAD = (
    "mutation { requestUpload(input: {size: 600000}) { ... on UploadRequested { uploadId url } } }"
)


def open_to_others(folder: Path) -> dict[str, str]:
    """What is below the folder and has a right for group or others."""
    return {
        str(path.relative_to(folder)): oct(mode)
        for path in folder.rglob("*")
        if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077
    }


@contextmanager
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.server
def test_a_server_leaves_nothing_to_others(tmp_path: Path) -> None:
    with usual_umask(), serving(tmp_path) as server:
        with httpx.Client(base_url=server.url, trust_env=False) as http:
            headers = {"Authorization": f"Bearer {sign_in(http, 'no-card')}"}
            reply = http.post("/graphql", json={"query": UPLOAD}, headers=headers).json()
            link = reply["data"]["requestUpload"]["url"]
            http.put(link, content=b"x" * 600_000).raise_for_status()
        found = {path.name for path in (tmp_path / "var").rglob("*")}
        exposed = open_to_others(tmp_path)

    assert {"card-gateway.sqlite3", "card-gateway.sqlite3-wal", "card-gateway.sqlite3-shm"} <= found
    assert {"objects", "sandbox-keys.json", "sandbox-world.sqlite3"} <= found
    assert set(exposed) == {"server.log"}, "the log is the test's own"


def test_without_the_umask_others_could_read_them(tmp_path: Path) -> None:
    settings = Settings(objects_dir=tmp_path / "var" / "objects")
    with usual_umask():
        migrations.migrate(f"sqlite:///{tmp_path}/var/card-gateway.sqlite3")
        stored_key(settings, "unionpay")

    assert set(open_to_others(tmp_path)) == {"var", "var/card-gateway.sqlite3"}


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As an earlier release left it."""
    monkeypatch.chdir(tmp_path)
    with usual_umask():
        Path("var/objects").mkdir(parents=True)
        for suffix in ("", "-wal", "-shm"):
            Path(f"var/card-gateway.sqlite3{suffix}").write_bytes(b"kept")
    return tmp_path


def test_what_an_earlier_release_left_is_tightened(older: Path) -> None:
    assert make_private(Settings()) == []

    assert open_to_others(older) == {}
    assert Path("var/card-gateway.sqlite3-wal").read_bytes() == b"kept"


def test_a_folder_of_the_operators_choice_is_named_but_kept(older: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{older}/var/card-gateway.sqlite3")

    assert make_private(settings) == [older / "var"]
    assert set(open_to_others(older)) == {"var"}
