"""GraphQL over HTTP, server-sent events and WebSockets, and the playground."""

from gateway.http.graphql.playground import playground_routes
from gateway.http.graphql.view import GraphQLView, SignInAgain

__all__ = ["GraphQLView", "SignInAgain", "playground_routes"]
