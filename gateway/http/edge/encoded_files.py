"""Static files with their compressed forms, which the build of the page puts beside them."""

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.http.edge.head import HEAD_KEY, Head
from gateway.http.edge.negotiation import accepts_encoding

ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""Best first."""


class EncodedFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        head: Head = scope[HEAD_KEY]
        for encoding, suffix in ENCODINGS.items():
            if accepts_encoding(head.accept_encoding, encoding):
                _, found = self.lookup_path(path + suffix)
                if found is not None:
                    response = await super().get_response(path + suffix, scope)
                    response.headers["Content-Encoding"] = encoding
                    response.headers["Vary"] = "Accept-Encoding"
                    return response
        response = await super().get_response(path, scope)
        response.headers["Vary"] = "Accept-Encoding"
        return response
