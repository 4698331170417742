"""Anchors of the audit log"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    op.create_table('audit_anchors',
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('heads', sa.Integer(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('mac', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('number', name=op.f('pk_audit_anchors'))
    )
    op.create_table('audit_anchored_heads',
    sa.Column('anchor', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('subject_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('mac', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('anchor', 'subject_id', name=op.f('pk_audit_anchored_heads')),
    sqlite_with_rowid=False
    )
    op.create_index('ix_audit_anchored_heads_subject_id', 'audit_anchored_heads', ['subject_id', 'number'], unique=False)
    op.add_column('audit_heads', sa.Column('anchored_number', sa.Integer(), server_default='0', nullable=False))
    op.create_index('ix_audit_heads_not_anchored', 'audit_heads', ['subject_id'], unique=False, sqlite_where=sa.text('number > anchored_number'), postgresql_where=sa.text('number > anchored_number'))


def downgrade() -> None:
    op.drop_index('ix_audit_heads_not_anchored', 'audit_heads')
    op.drop_column('audit_heads', 'anchored_number')
    op.drop_index('ix_audit_anchored_heads_subject_id', 'audit_anchored_heads')
    op.drop_table('audit_anchored_heads')
    op.drop_table('audit_anchors')
