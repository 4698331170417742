"""`GET /samples/…`: drawn samples of the pictures that citizens upload. They show nobody's card."""

from pathlib import Path

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent / "sample_files"


def sample_routes() -> list[BaseRoute]:
    return [Mount("/samples", StaticFiles(directory=FOLDER), name="samples")]
