"""The HTTP server: the fast path past ASGI, and read timeouts."""

from gateway.http.server.fast_path import FastLane, leads_here
from gateway.http.server.protocol import LANE_KEY, LaneProtocol
from gateway.http.server.read_timeouts import Patience, PatientSockets, room_for_connections

__all__ = [
    "LANE_KEY",
    "FastLane",
    "LaneProtocol",
    "Patience",
    "PatientSockets",
    "leads_here",
    "room_for_connections",
]
