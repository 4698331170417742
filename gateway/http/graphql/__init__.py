"""GraphQL over HTTP, server-sent events (SSE) and WebSocket, and the playground."""

from gateway.http.graphql.playground import playground_routes
from gateway.http.graphql.view import GraphQLView, ReauthenticateSockets

__all__ = ["GraphQLView", "ReauthenticateSockets", "playground_routes"]
