"""The outside world for development and tests: invented people, platforms, registries, issuer.

Nothing here is reached in production: the gateway imports it only when the sandbox is on.
"""
