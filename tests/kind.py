"""Settings under which the simulated Bitso is kinder than production, for tests of something else."""

from typing import Final

# What has ended is still looked up, trades are told at once, a miss is an empty list, waiting stops are listed.
KIND: Final = {"visibility_window": 3600.0, "trade_lag": 0.0, "miss": "empty", "open_orders_types": "all"}
