"""`card-gateway migrate`: brings the database to the newest revision."""

from gateway.cli.common import read_settings


def migrate() -> None:
    """Brings the database to the newest revision."""
    from core import migrations

    migrations.migrate(read_settings().database_url)
    print("The database is at the newest revision.")
