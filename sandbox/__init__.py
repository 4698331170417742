"""The sandbox: fake platforms and partners with invented personas, for development and tests.

It is not used in production: the gateway imports it only if the sandbox is on.
"""
