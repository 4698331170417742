"""Static files with their compressed forms, which the build of the page puts beside them."""

from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.http.edge.encodings import ENCODINGS
from gateway.http.edge.head import HEAD_KEY, Head
from gateway.http.edge.negotiation import preferred_encoding


class EncodedFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        """The path is looked up first as it is, which refuses a bad one."""
        response = await super().get_response(path, scope)
        head: Head = scope[HEAD_KEY]
        encoding = preferred_encoding(head.accept_encoding)
        if encoding is not None:
            encoded_path = path + ENCODINGS[encoding].suffix
            _, found = self.lookup_path(encoded_path)
            if found is not None:
                response = await super().get_response(encoded_path, scope)
                if isinstance(response, FileResponse):
                    response.headers["Content-Encoding"] = encoding
                    # Python takes `.zst` for a file type, not for an encoding.
                    response.headers["Content-Type"] = FileResponse(path).headers["Content-Type"]
        response.headers["Vary"] = "Accept-Encoding"
        return response
