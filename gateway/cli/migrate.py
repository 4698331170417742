"""`card-gateway migrate`: upgrades the database to the latest revision."""

from core.kernel.settings import SettingsError
from gateway.cli.common import other_partitions, read_settings, state_of_database


def migrate() -> None:
    """Upgrades the database to the latest revision."""
    from core import migrations

    found = read_settings()
    wrong = other_partitions(found, state_of_database(found))
    if wrong:
        raise SettingsError(wrong)
    migrations.migrate(found.database_url, found.database_partitions)
    print("The database is at the latest revision.")
