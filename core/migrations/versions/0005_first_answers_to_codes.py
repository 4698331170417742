"""What a platform answered to a code, for the browser that shows it again at another worker"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "sign_in_answers",
        sa.Column("pair_mark", sa.String(128), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("lifetime_seconds", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pair_mark", name=op.f("pk_sign_in_answers")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sign_in_answers_account_index", "sign_in_answers", ["account_index"])
