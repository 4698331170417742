"""Which notices a person gets, and how"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    op.create_table(
        'notification_settings',
        sa.Column('citizen_id', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('notice', sa.String(length=32), nullable=False),
        sa.Column('sms', sa.Boolean(), nullable=False),
        sa.Column('channel', sa.Boolean(), nullable=False),
        sa.Column('changed_at', sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(['citizen_id'], ['citizens.id'], name=op.f('fk_notification_settings_citizen_id')),
        sa.PrimaryKeyConstraint('citizen_id', 'notice', name=op.f('pk_notification_settings')),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table('notification_settings')
