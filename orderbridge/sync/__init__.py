"""
The same calls without `await`, for programs that are not asynchronous: thin wrappers over one loop in a thread.

`loop.py` has the thread, `gateway.py` one gateway of a bridge; of the bridge itself `placement.py` and `history.py`
have what the modules of those names have, and `bridge.py` the rest.
"""

from orderbridge.sync.bridge import BridgeSettings, SyncBridge
from orderbridge.sync.gateway import SyncGateway

__all__ = ["BridgeSettings", "SyncBridge", "SyncGateway"]
