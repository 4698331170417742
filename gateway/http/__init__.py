"""What the gateway serves over HTTP: the GraphQL view and its limits, pages, events, health."""
