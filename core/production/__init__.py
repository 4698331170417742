"""Production (制卡): orders, their nodes, progress, and the receipt."""

from core.production import collection, failures, orders, receipts
from core.production.changes import ProductionChange, changes_since, snapshots
from core.production.history import Estimate, ProductionHistory
from core.production.orders import (
    NODE_NAMES,
    NODES,
    RESULT_NAMES,
    NodeResult,
    NodeState,
    ProductionNode,
    ProductionOrder,
    ProductionSnapshot,
    Progress,
    ProgressCursor,
    collect_by,
    production_changes_table,
    production_nodes_table,
    production_orders_table,
)
from core.production.receipt_pdf import print_receipt
from core.production.receipts import check_code

__all__ = [
    "NODES",
    "NODE_NAMES",
    "RESULT_NAMES",
    "Estimate",
    "NodeResult",
    "NodeState",
    "ProductionChange",
    "ProductionHistory",
    "ProductionNode",
    "ProductionOrder",
    "ProductionSnapshot",
    "Progress",
    "ProgressCursor",
    "changes_since",
    "check_code",
    "collect_by",
    "collection",
    "failures",
    "orders",
    "print_receipt",
    "production_changes_table",
    "production_nodes_table",
    "production_orders_table",
    "receipts",
    "snapshots",
]
