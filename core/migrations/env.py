"""Run by Alembic: connects with the same drivers as the gateway."""

import asyncio

from alembic import context
from sqlalchemy.engine import Connection

from core.migrations.tables import metadata


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    engine = context.config.attributes["engine"]
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(connect_and_run())
