"""Events of the issuer, kept so that what they come to can be told anew"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'


def upgrade() -> None:
    for column in (
        sa.Column('citizen_id', sa.BigInteger(), nullable=True),
        sa.Column('at', sa.BigInteger(), nullable=True),
        sa.Column('content', sa.LargeBinary(), nullable=True),
    ):
        op.add_column('issuer_events', column)
    op.create_index('ix_issuer_events_citizen_id', 'issuer_events', ['citizen_id'])
    not_taken = sa.text("outcome <> 'TAKEN'")
    op.create_index(
        'ix_issuer_events_open',
        'issuer_events',
        ['received_at'],
        sqlite_where=not_taken,
        postgresql_where=not_taken,
    )
    op.add_column('cards', sa.Column('snapshot_state_since', sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('cards') as batch_op:
        batch_op.drop_column('snapshot_state_since')
    op.drop_index('ix_issuer_events_open', 'issuer_events')
    op.drop_index('ix_issuer_events_citizen_id', 'issuer_events')
    with op.batch_alter_table('issuer_events') as batch_op:
        for name in ('content', 'at', 'citizen_id'):
            batch_op.drop_column(name)
