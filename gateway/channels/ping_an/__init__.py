"""Ping An 城市一账通."""

from gateway.channels.ping_an.adapter import PingAn

__all__ = [
    "PingAn",
]
