"""Content encodings: quick for what is compressed at run time, small for files compressed once."""

import gzip
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import brotli
from msgspec import Struct

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Encoding(Struct, frozen=True):
    suffix: str
    quick: Callable[[bytes], bytes]
    small: Callable[[bytes], bytes]


ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        "br": Encoding(".br", partial(brotli.compress, quality=6), brotli.compress),
        "zstd": Encoding(".zst", partial(zstd.compress, level=9), partial(zstd.compress, level=19)),
        "gzip": Encoding(
            ".gz",
            partial(gzip.compress, compresslevel=6, mtime=0),
            partial(gzip.compress, compresslevel=9, mtime=0),
        ),
    }
)
"""The smallest first: the quick ones take the same time."""
