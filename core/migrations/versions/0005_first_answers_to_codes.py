"""What a platform answered to a code, for the browser that shows it again at another worker"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "code_exchanges",
        sa.Column("pair_mac", sa.String(128), nullable=False),
        sa.Column("account_index", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("lifetime_seconds", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pair_mac", name=op.f("pk_code_exchanges")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_code_exchanges_account_index", "code_exchanges", ["account_index"])
