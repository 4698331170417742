"""The type of `info` in every resolver: the request's context is `info.context`."""

from typing import TypeAlias

import strawberry

from gateway.resolvers.context import Context

Info: TypeAlias = strawberry.Info[Context, None]
