"""What partners have confirmed, and effects whose outcome is unknown"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    op.add_column('outbox', sa.Column('unknown_since', sa.BigInteger(), nullable=True))
    waiting = sa.text('settled_at IS NULL AND dead_at IS NULL')
    op.create_index(
        'ix_outbox_due', 'outbox', ['kind', 'due_at'], sqlite_where=waiting, postgresql_where=waiting
    )
    for table in ('cards', 'production_orders'):
        op.add_column(
            table,
            sa.Column('confirmation', sa.String(16), nullable=False, server_default='CONFIRMED'),
        )
    op.add_column('cards', sa.Column('snapshot_state', sa.String(1), nullable=True))
    op.add_column(
        'cards', sa.Column('snapshot_since', sa.BigInteger(), nullable=False, server_default='0')
    )
    op.create_table(
        'scheduled_jobs',
        sa.Column('name', sa.String(32), nullable=False),
        sa.Column('due_at', sa.BigInteger(), nullable=False),
        sa.Column('leased_until', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_scheduled_jobs')),
        sqlite_with_rowid=False,
    )
    temporarily_lost = sa.text("state = '4'")
    op.create_index(
        'ix_cards_temporarily_lost',
        'cards',
        ['state_since'],
        sqlite_where=temporarily_lost,
        postgresql_where=temporarily_lost,
    )


def downgrade() -> None:
    op.drop_table('scheduled_jobs')
    op.drop_index('ix_cards_temporarily_lost', 'cards')
    for table, names in (
        ('cards', ('snapshot_since', 'snapshot_state', 'confirmation')),
        ('production_orders', ('confirmation',)),
    ):
        with op.batch_alter_table(table) as batch_op:
            for name in names:
                batch_op.drop_column(name)
    op.drop_index('ix_outbox_due', 'outbox')
    with op.batch_alter_table('outbox') as batch_op:
        batch_op.drop_column('unknown_since')
