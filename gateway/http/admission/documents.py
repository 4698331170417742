"""The document of a request: the text that it sends, or a persisted document.

Persisted documents are referenced by `documentId` (GraphQL over HTTP, appendix A: an
identifier of the manifest, or `sha256:` and the hex digest of the text) or by Apollo's
`extensions.persistedQuery.sha256Hash`. The manifest is read at the start. With the setting
`only_trusted_documents`, only its documents are executed. Without it, clients may register
documents by Apollo's protocol (APQ); the most recently used ones are kept.
"""

import hashlib
import hmac
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.kernel.settings import SettingsError
from core.kernel.texts import Text
from gateway.http.admission.bounded_cache import BoundedCache
from gateway.http.admission.parameters import Parameters
from gateway.http.edge import BadRequest

MAX_REGISTERED_BYTES = 4 * 1024 * 1024
_HASH_CHARACTERS = 64
_PREFIX = "sha256:"

_NO_DOCUMENT = Text("请求中没有 GraphQL 查询。", "The request has no GraphQL query.")
_UNKNOWN = Text(
    "没有该编号的操作文档：请更新前端，或核对操作清单。",
    "No document has this identifier: update the front-end, or check the operation manifest.",
)
_NOT_TRUSTED = Text(
    "仅执行操作清单中的文档：请发送清单中的 documentId。",
    "Only documents of the operation manifest are executed: send the documentId of one.",
)
_NOT_ITS_HASH = Text("所给 SHA-256 与文档不符。", "The SHA-256 does not match the document.")
_WRONG_HASH = Text(
    "`extensions.persistedQuery` 须含 version 1 与 64 位十六进制 sha256Hash。",
    "`extensions.persistedQuery` must hold version 1 and a sha256Hash of 64 hex digits.",
)


class Documents:
    """`manifest` maps identifiers to documents."""

    def __init__(self, manifest: Mapping[str, str], *, only_trusted: bool) -> None:
        self._by_id = dict(manifest)
        self._by_hash = {sha256(text): text for text in manifest.values()}
        self._trusted = frozenset(manifest.values())
        self._only_trusted = only_trusted
        self._registered: BoundedCache[str, str] = BoundedCache(MAX_REGISTERED_BYTES)

    def text_of(self, parameters: Parameters, *, exempt: bool = False) -> str:
        """Raises `BadRequest`. `exempt` requests, those of the playground, may send any document."""
        anything = exempt or not self._only_trusted
        if parameters.document_id is not None:
            return self._by_identifier(parameters.document_id)
        digest = _apollo_hash(parameters.extensions)
        if digest is not None:
            return self._by_digest(digest, parameters.query, anything)
        if not parameters.query:
            raise BadRequest(_NO_DOCUMENT)
        if not anything and parameters.query not in self._trusted:
            raise BadRequest(_NOT_TRUSTED, 403, "DOCUMENT_NOT_TRUSTED")
        return parameters.query

    def register(self, parameters: Parameters, owner: bytes) -> None:
        """Keeps the text that came with its hash, after its document was found valid. `owner` is
        the network that it came from."""
        text, digest = parameters.query, _apollo_hash(parameters.extensions)
        if text and digest and parameters.document_id is None and digest not in self._by_hash:
            self._registered.put(digest, text, sys.getsizeof(text), owner)

    def _by_identifier(self, identifier: str) -> str:
        text = self._by_id.get(identifier)
        if text is None and identifier.startswith(_PREFIX):
            text = self._by_hash.get(identifier.removeprefix(_PREFIX))
        if text is None:
            raise BadRequest(_UNKNOWN, 404, "DOCUMENT_NOT_FOUND")
        return text

    def _by_digest(self, digest: str, query: str | None, anything: bool) -> str:
        """Apollo's APQ: the client sends the hash first, and the text only if the hash is unknown."""
        if query and not hmac.compare_digest(sha256(query), digest):
            raise BadRequest(_NOT_ITS_HASH)
        if digest in self._by_hash:
            return self._by_hash[digest]
        if not anything:
            raise BadRequest("PersistedQueryNotSupported", 200, "PERSISTED_QUERY_NOT_SUPPORTED")
        text = query or self._registered.get(digest)
        if text is None:
            raise BadRequest("PersistedQueryNotFound", 200, "PERSISTED_QUERY_NOT_FOUND")
        return text


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _Operation(msgspec.Struct):
    id: str
    body: str


def read_manifest(file: Path | None) -> dict[str, str]:
    """Reads a JSON object of identifier and document, or a manifest written by Apollo's tool."""
    if file is None:
        return {}
    try:
        found = msgspec.json.decode(file.read_bytes())
        if isinstance(found, dict) and isinstance(found.get("operations"), list):
            listed = msgspec.convert(found["operations"], list[_Operation])
            return {operation.id: operation.body for operation in listed}
        return msgspec.convert(found, dict[str, str])
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"The operation manifest {file} cannot be read: {error}.") from None


def _apollo_hash(extensions: Mapping[str, object] | None) -> str | None:
    persisted = (extensions or {}).get("persistedQuery")
    if persisted is None:
        return None
    given = persisted if isinstance(persisted, dict) else {}
    digest = given.get("sha256Hash")
    is_hash = isinstance(digest, str) and len(digest) == _HASH_CHARACTERS and digest.isascii()
    if given.get("version") != 1 or not is_hash:
        raise BadRequest(_WRONG_HASH)
    return str(digest).lower()
