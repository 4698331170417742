"""Production (制卡): orders, their nodes, progress, and the receipt."""

from core.production import failures, orders, receipts
from core.production.changes import ProductionChange, changes_since, snapshots
from core.production.closures import CLOSE_REASON_NAMES, REPORTED, CloseReason, Closure
from core.production.corrections import Correction, in_order
from core.production.history import Estimate, ProductionHistory
from core.production.orders import (
    CHANGE_NAMES,
    NODE_NAMES,
    NODES,
    RESULT_NAMES,
    NodeResult,
    NodeState,
    OrderChange,
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

__all__ = [
    "CHANGE_NAMES",
    "CLOSE_REASON_NAMES",
    "NODES",
    "NODE_NAMES",
    "REPORTED",
    "RESULT_NAMES",
    "CloseReason",
    "Closure",
    "Correction",
    "Estimate",
    "NodeResult",
    "NodeState",
    "OrderChange",
    "ProductionChange",
    "ProductionHistory",
    "ProductionNode",
    "ProductionOrder",
    "ProductionSnapshot",
    "Progress",
    "ProgressCursor",
    "changes_since",
    "collect_by",
    "failures",
    "in_order",
    "orders",
    "print_receipt",
    "production_changes_table",
    "production_nodes_table",
    "production_orders_table",
    "receipts",
    "snapshots",
]
