"""`card-gateway migrate`: upgrades the database to the latest revision."""

from gateway.cli.common import read_settings


def migrate() -> None:
    """Upgrades the database to the latest revision."""
    from core import migrations

    found = read_settings()
    migrations.migrate(found.database_url, found.database_partitions)
    print("The database is at the latest revision.")
