"""The type of `info` in every resolver: the request's context is `info.context`."""

from typing import TypeAlias

import strawberry

from gateway.resolvers.context import Context

Info: TypeAlias = strawberry.Info[Context, None]

FORM = strawberry.argument(description="表单 · The submitted form.")
UPLOAD_ID = strawberry.argument(
    description="上传编号 · Of `requestUpload`; the file must be complete."
)
PICTURE = strawberry.argument(
    description="图片 · JPEG, PNG or WebP, by the GraphQL multipart request specification."
)
