"""
A job that buys once a day, started by whatever starts it, and as often as it dies: the day is the key.

Its arguments are Bitso's address, the journal, the day, and after how many seconds what Bitso has is certainly shown.
"""

import sys

from orderbridge import OrderRequest, PlacementState
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import OrderBridgeError, OutcomeUnknown
from orderbridge.placement import SqliteJournal
from orderbridge.sync import SyncBridge


def main(address: str, journal: str, day: str, horizon: str) -> int:
    """0 once the day's order is known to be bought, 3 while that cannot be told."""
    gateway = BitsoGateway(api_key="simulated-key", api_secret="simulated-secret", base_url=address, limits=None)
    request = OrderRequest.market(symbol="BTC/MXN", side="buy", quote_quantity="1000")
    with SyncBridge(
        gateway,
        journal=SqliteJournal(journal),
        settle_horizon=float(horizon),
        probe_times=[n * 0.5 for n in range(1, 30)],
    ) as bridge:
        while True:
            try:
                order = bridge.place("bitso", request, key=f"dca/{day}")
            except OutcomeUnknown as unknown:
                placement = unknown.placement
                if placement is None or bridge.resolve(placement, timeout=30).state is PlacementState.UNCERTAIN:
                    return 3
                continue  # the day's order is there, or proven absent: the same line goes on with either
            except OrderBridgeError as error:
                print(error, file=sys.stderr)
                return 3
            print(f"{day}: {order}")
            return 0 if order.status == "filled" else 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
