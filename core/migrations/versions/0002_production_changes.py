"""Changes of production, numbered, for subscriptions that are taken up again"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'

READY = sa.text("node = 6 AND result = 'DONE'")


def upgrade() -> None:
    op.add_column(
        'production_nodes', sa.Column('revision', sa.Integer(), server_default='0', nullable=False)
    )
    op.create_index(
        'ix_production_nodes_ready', 'production_nodes', ['at'],
        sqlite_where=READY, postgresql_where=READY,
    )
    op.create_table(
        'production_changes',
        sa.Column('order_id', sa.BigInteger(), nullable=False),
        sa.Column('revision', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('node', sa.SmallInteger(), nullable=False),
        sa.Column('result', sa.String(length=12), nullable=False),
        sa.Column('at', sa.BigInteger(), nullable=False),
        sa.Column('reason', sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(['order_id'], ['production_orders.id'], name=op.f('fk_production_changes_order_id')),
        sa.PrimaryKeyConstraint('order_id', 'revision', name=op.f('pk_production_changes')),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table('production_changes')
    op.drop_index('ix_production_nodes_ready', table_name='production_nodes')
    op.drop_column('production_nodes', 'revision')
