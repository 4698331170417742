"""`python -m gateway` is `card-gateway`."""

from gateway.cli.main import main

main()
