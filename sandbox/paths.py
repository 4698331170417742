"""Where the sandbox is mounted in the gateway, and where it stores its own data."""

from pathlib import Path

from core.kernel.settings import Settings

MOUNT = "/sandbox"


def var_dir(settings: Settings) -> Path:
    return settings.objects_dir.parent


def world_file(settings: Settings) -> Path:
    return var_dir(settings) / "sandbox-world.sqlite3"


def clock_file(settings: Settings) -> Path:
    return world_file(settings).with_suffix(".clock")
