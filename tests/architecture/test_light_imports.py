"""What the server loads before its first request: each of these costs every process megabytes."""

import subprocess
import sys

HEAVY = ("cv2", "onnxruntime", "redis")


def test_the_server_loads_nothing_that_it_does_not_need_yet() -> None:
    script = f"import gateway.app, sys; print(*sorted(set({HEAVY!r}) & sys.modules.keys()))"

    loaded = subprocess.run(  # noqa: S603 - of our own environment
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == []


def test_a_heavy_import_is_found_control() -> None:
    script = f"import redis, sys; print(*sorted(set({HEAVY!r}) & sys.modules.keys()))"

    loaded = subprocess.run(  # noqa: S603 - of our own environment
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.split() == ["redis"]
