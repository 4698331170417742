"""What was viewed is kept in batches"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    op.create_table(
        'audit_views',
        sa.Column('batch', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
        sa.Column('views', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('batch', name=op.f('pk_audit_views')),
    )
    op.create_table(
        'audit_views_of',
        sa.Column('person', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('batch', sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint('person', 'batch', name=op.f('pk_audit_views_of')),
        sqlite_with_rowid=False,
    )
    op.create_table(
        'audit_views_filed',
        sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
        sa.Column('batch', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_views_filed')),
    )


def downgrade() -> None:
    op.drop_table('audit_views_filed')
    op.drop_table('audit_views_of')
    op.drop_table('audit_views')
