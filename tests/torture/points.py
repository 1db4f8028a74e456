"""
The named points of the sequence at which the driver is killed, and how a run is brought to each of them.

A point of a write carries the event's name: `while found is stored` lies inside the journal's transaction, before its
commit, and `after found was stored` behind it. What the sequence names "mid-write" is half a request on the wire.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

BOTH = ("bitso", "bitcain")
# How client ids begin that somebody else uses before us.
OF_STRANGERS = "torture-"


class Point(NamedTuple):
    """
    Where to die.

    Attributes:
        needs: a fault at the venue without which the point is seldom come to.
        venues: those at which there is such a point.
    """

    name: str
    needs: str | None = None
    venues: tuple[str, ...] = BOTH

    @property
    def is_of_recovery(self) -> bool:
        """Whether it is come to when the driver starts, if something was left behind."""
        return self.name.startswith("recovery: ") or "taken" in self.name


POINTS = (
    # Placing, in the order of its steps.
    Point("before it is stored"),
    Point("after prepared was stored"),
    Point("while sending is stored"),
    Point("after sending was stored"),
    Point("mid-write"),
    Point("after the bytes left"),
    Point("after the reply"),
    Point("while acknowledged is stored"),
    Point("after acknowledged was stored"),
    Point("while unclear is stored", "accept_then_drop"),
    Point("after unclear was stored", "accept_then_drop"),
    # The resolver.
    Point("before a look-up", "accept_then_drop"),
    Point("after a look-up", "accept_then_drop"),
    Point("before open orders are read", "drop"),
    Point("while found is stored", "accept_then_drop"),
    Point("after found was stored", "accept_then_drop"),
    Point("while absent is stored", "drop"),
    Point("after absent was stored", "drop"),
    # Recovery.
    Point("while taken is stored"),
    Point("after taken was stored"),
    Point("recovery: before a look-up"),
    Point("recovery: after a look-up"),
    Point("recovery: before open orders are read"),
    Point("recovery: after open orders were read"),
    Point("recovery: while found is stored", "accept_then_drop"),
)


def targets(rng: Random, *, venues: Sequence[str], thorough: bool) -> list[tuple[str, Point]]:
    """
    Every point at every venue that has it, or at one of them, in an order of chance.

    One of the recovery stands behind one that leaves a lost answer at its venue, so that there is something to find.
    """
    every = [(venue, point) for point in POINTS for venue in _at(point, venues, rng, thorough=thorough)]
    rng.shuffle(every)
    recovery = [each for each in every if each[1].is_of_recovery]
    others = [each for each in every if not each[1].is_of_recovery]
    ordered: list[tuple[str, Point]] = []
    for venue, point in others:
        ordered.append((venue, point))
        follows = next((each for each in recovery if each[0] == venue and point.needs == "accept_then_drop"), None)
        if follows is not None:
            recovery.remove(follows)
            ordered.append(follows)
    return ordered + recovery


def _at(point: Point, venues: Sequence[str], rng: Random, *, thorough: bool) -> Sequence[str]:
    having = [venue for venue in point.venues if venue in venues]
    return having if thorough else [rng.choice(having)]
