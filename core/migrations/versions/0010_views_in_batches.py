"""What was viewed is kept in batches"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    op.create_table(
        'access_log',
        sa.Column('batch', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
        sa.Column('views', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('batch', name=op.f('pk_access_log')),
    )
    op.create_table(
        'access_log_subjects',
        sa.Column('subject_id', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('batch', sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint('subject_id', 'batch', name=op.f('pk_access_log_subjects')),
        sqlite_with_rowid=False,
    )
    op.create_table(
        'access_log_indexed',
        sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
        sa.Column('batch', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_access_log_indexed')),
    )


def downgrade() -> None:
    op.drop_table('access_log_indexed')
    op.drop_table('access_log_subjects')
    op.drop_table('access_log')
