"""The GraphQL gateway: schema, channels and HTTP around the common core."""
