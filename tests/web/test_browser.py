"""Both pages in a real browser: `web/tests/browser.mjs` against a running server."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def missing() -> str | None:
    if shutil.which("node") is None:
        return "node is not installed"
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        return "web/node_modules is missing: run npm ci in web/"
    if shutil.which(CHROMIUM) is None:
        return f"{CHROMIUM} is missing: apt-get install chromium"
    return None


@pytest.mark.skipif(missing() is not None, reason=f"NO BROWSER TESTS RUN: {missing()}")
def test_both_pages_in_a_browser(live_server: str) -> None:
    command = ["node", "tests/browser.mjs", "--base-url", live_server]

    finished = subprocess.run(  # noqa: S603 - our own script
        command, cwd=WEB, capture_output=True, text=True, timeout=600, check=False
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
