"""GraphQL over HTTP, server-sent events (SSE) and WebSocket, and the playground."""

from gateway.http.graphql.playground import playground_routes
from gateway.http.graphql.sockets import SOCKET_KEY
from gateway.http.graphql.view import GraphQLView, failure

__all__ = ["SOCKET_KEY", "GraphQLView", "failure", "playground_routes"]
