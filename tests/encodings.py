"""Unpacks what the gateway compresses."""

import gzip
import sys

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UNPACK = {"br": brotli.decompress, "zstd": zstd.decompress, "gzip": gzip.decompress}


def unpacked(encoding: str | None, body: bytes) -> bytes:
    return body if encoding is None else UNPACK[encoding](body)
