"""HTTP: the edge, admission, the GraphQL endpoint, other endpoints, and the server."""
