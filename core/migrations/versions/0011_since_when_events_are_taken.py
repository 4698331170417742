"""Since when events are taken"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'


def upgrade() -> None:
    op.add_column('issuer_events', sa.Column('taken_at', sa.BigInteger(), nullable=True))
    op.execute("UPDATE issuer_events SET taken_at = received_at WHERE outcome = 'TAKEN'")


def downgrade() -> None:
    with op.batch_alter_table('issuer_events') as batch_op:
        batch_op.drop_column('taken_at')
