"""
Simulated exchanges: Bitso v3 and Bitcain v1 as real HTTP servers on this machine, which also misbehave on
command.

`from orderbridge.simulator import Simulator` loads no server code; that happens when a simulator starts.
This is a simulation: it holds no money, needs no keys and talks to nobody but its callers.
"""

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.settings import BitcainSettings, BitsoSettings
from orderbridge.simulator.simulator import Simulator

__all__ = ["BitcainSettings", "BitsoSettings", "SimClock", "Simulator"]
