"""`python -m gateway.http.edge.compress_files FOLDER`: puts the forms beside each file that `EncodedFiles` serves."""

import sys
from pathlib import Path

from gateway.http.edge.encodings import ENCODINGS

MIN_BYTES = 1_024


def compress_files(folder: Path) -> None:
    suffixes = {encoding.suffix for encoding in ENCODINGS.values()}
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        if file.suffix in suffixes or len(content) < MIN_BYTES:
            continue
        for encoding in ENCODINGS.values():
            file.with_name(file.name + encoding.suffix).write_bytes(encoding.small(content))


if __name__ == "__main__":
    compress_files(Path(sys.argv[1]))
