"""What was viewed is kept in batches"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    op.create_table(
        'audit_views',
        sa.Column('batch', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('position', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('person', sa.BigInteger(), nullable=False),
        sa.Column('at', sa.BigInteger(), nullable=False),
        sa.Column('action', sa.String(length=32), nullable=False),
        sa.Column('result', sa.String(length=32), nullable=False),
        sa.Column('channel', sa.String(length=16), nullable=False),
        sa.Column('session_id', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('batch', 'position', name=op.f('pk_audit_views')),
        sqlite_with_rowid=False,
    )
    op.create_index('ix_audit_views_person_at', 'audit_views', ['person', 'at', 'batch', 'position'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_audit_views_person_at', 'audit_views')
    op.drop_table('audit_views')
