"""What the client prefers: media type, language and encoding of the response (RFC 9110 section 12)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from core.kernel.texts import Language
from gateway.http.edge.encodings import ENCODINGS

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
HTML = "text/html"

_READ_CHARACTERS = 1_024
"""Of a header; what follows has no effect. Browsers send less than 200."""
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def weights(header: str) -> Mapping[str, float]:
    """The weight of each entry, in lower case and without other parameters. Invalid ones are 0."""
    return _weights(header[:_READ_CHARACTERS])


def media_type(accept: str) -> str:
    """`application/graphql-response+json` if it is asked for by name, otherwise `application/json`."""
    return _media_type(accept[:_READ_CHARACTERS])


def preferred_language(accept_language: str) -> Language:
    """Chinese, unless English has a higher weight."""
    return _preferred_language(accept_language[:_READ_CHARACTERS])


def accepts(accept: str, *kinds: str) -> bool:
    """Whether one of the media types is asked for by name."""
    given = weights(accept)
    return any(given.get(kind) for kind in kinds)


def preferred_encoding(accept_encoding: str) -> str | None:
    """The first of `ENCODINGS` with the highest weight; None if none may be used or `identity` has a higher one."""
    return _preferred_encoding(accept_encoding[:_READ_CHARACTERS])


@lru_cache(maxsize=256)
def _weights(header: str) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = part.split(";")
        if name := name.strip():
            found[name] = max(found.get(name, 0.0), _weight(parameters))
    return MappingProxyType(found)


@lru_cache(maxsize=256)
def _media_type(accept: str) -> str:
    given = _weights(accept)
    wanted = given.get(GRAPHQL_JSON, 0.0)
    return GRAPHQL_JSON if wanted and wanted >= given.get(JSON, 0.0) else JSON


@lru_cache(maxsize=256)
def _preferred_encoding(accept_encoding: str) -> str | None:
    given = _weights(accept_encoding)
    weighed = {encoding: given.get(encoding, given.get("*", 0.0)) for encoding in ENCODINGS}
    best = max(weighed, key=weighed.__getitem__)
    return best if weighed[best] > 0.0 and weighed[best] >= given.get("identity", 0.0) else None


@lru_cache(maxsize=256)
def _preferred_language(accept_language: str) -> Language:
    best = {Language.ZH: 0.0, Language.EN: 0.0}
    for tag, weight in _weights(accept_language).items():
        for language in best:
            if tag.partition("-")[0] == language.value:
                best[language] = max(best[language], weight)
    return Language.EN if best[Language.EN] > best[Language.ZH] else Language.ZH


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if _WEIGHT.fullmatch(value := value.strip()) else 0.0
    return 1.0
