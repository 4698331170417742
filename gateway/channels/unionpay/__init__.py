"""UnionPay 云闪付."""

from gateway.channels.unionpay.adapter import UnionPay

__all__ = [
    "UnionPay",
]
