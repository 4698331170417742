"""What was read off ID documents"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'


def upgrade() -> None:
    op.create_table(
        'prefills',
        sa.Column('citizen_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
        sa.Column('fields', sa.LargeBinary(), nullable=False),
        sa.Column('read_at', sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(['citizen_id'], ['citizens.id'], name=op.f('fk_prefills_citizen_id')),
        sa.PrimaryKeyConstraint('citizen_id', name=op.f('pk_prefills')),
    )


def downgrade() -> None:
    op.drop_table('prefills')
