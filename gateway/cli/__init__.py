"""The command line `card-gateway`: one file per command."""
