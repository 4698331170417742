"""`card-gateway migrate`: upgrades the database to the latest revision."""

from gateway.cli.common import read_settings


def migrate() -> None:
    """Upgrades the database to the latest revision."""
    from core import migrations

    migrations.migrate(read_settings().database_url)
    print("The database is at the latest revision.")
