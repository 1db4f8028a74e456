"""When and how placements whose outcome is not known are followed up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from orderbridge.errors import ConfigurationError
from orderbridge.gateway import Capabilities, OrderGateway
from orderbridge.model.basics import PlacementState
from orderbridge.placement.desk import LEASE_SECONDS
from orderbridge.placement.states import WATCHED, Record

PROBE_TIMES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
SETTLE_HORIZON: Final = 120.0
EVERY: Final = 300.0
ROUNDS: Final = 3
# Asked for in one round at the least. A gateway splits what its venue takes one by one, and where it searches a
# list, one search serves them all.
_TOGETHER: Final = 50
# How often one placement is sent again, under `resend_if_absent`; after that it stays as it is proven to be.
RESENDS: Final = 3
# So that the probe for the certificate begins after the horizon, whatever the clock's grain.
_PAST: Final = 0.01
Uncertain = Literal["hold", "fence", "resend_if_absent"]
Ghost = Literal["alert", "cancel", "adopt"]
Stale = Literal["deny", "send"]


@dataclass(frozen=True)
class Probing:
    """
    The policies.

    Attributes:
        horizon: seconds after which an accepted order is certainly shown. `times`: seconds after the attempt.
        every: seconds between the probes after those.
        on_uncertain: `fence` cancels by client id at every probe; `resend_if_absent` sends again what is proven
            absent, under the same id. `on_ghost`: what to do with an order that appears after a verdict of absence.
        on_stale: what recovery does with what was prepared and never sent.
    """

    horizon: float = SETTLE_HORIZON
    times: Sequence[float] = PROBE_TIMES
    every: float = EVERY
    on_uncertain: Uncertain = "hold"
    on_ghost: Ghost = "alert"
    on_stale: Stale = "deny"

    def __post_init__(self) -> None:
        for name, kind in (("on_uncertain", Uncertain), ("on_ghost", Ghost), ("on_stale", Stale)):
            words, word = get_args(kind), getattr(self, name)
            if word not in words:
                raise ConfigurationError(f"{name} is one of {', '.join(words)}, not {word!r}")
        if not self.times or not all(math.isfinite(each) and each >= 0 for each in (self.horizon, *self.times)):
            raise ConfigurationError("settle_horizon and probe_times are seconds from 0 on, and there is a first probe")

    def check(self, gateway: OrderGateway) -> None:
        """ConfigurationError: the horizon is over while an attempt of this gateway may still be under way."""
        longest = gateway.longest_attempt
        if self.horizon < longest:
            raise ConfigurationError(
                f"settle_horizon={self.horizon:g} is shorter than an attempt may take ({longest:g} s): an order that "
                "arrives after it would be called absent",
                gateway=gateway.name,
            )


def together(capabilities: Capabilities) -> int:
    """How many placements one round asks about."""
    return max(capabilities.lookup_batch, _TOGETHER)


@dataclass
class Tally:
    """What the rounds about one placement came to, in this process; `late` were begun after the horizon."""

    negative: int = 0
    late: int = 0
    blocked_after_horizon: int = 0
    blocked: list[str] = field(default_factory=list)


class Schedule:
    """When the next probe of a placement is due."""

    lease: Final = LEASE_SECONDS

    def __init__(self, probing: Probing, *, clock: Callable[[], float]) -> None:
        self._probing = probing
        self._clock = clock

    def first(self, record: Record) -> int:
        """The number of the first probe to make; after a restart, as many of those missed as a proof needs."""
        missed = sum(self._sent(record) + after <= self._clock() for after in self._times(record))
        return max(0, missed - ROUNDS)

    def wait(self, record: Record, number: int, *, followed: float, late: int) -> float:
        """
        Seconds until a probe: by the times, as often after the horizon as a verdict needs, then every so often.

        Args:
            followed: for how many seconds this process has followed it; a restart begins anew.
            late: how many rounds were begun after the horizon. Whether it can be proven or must be given up is told by
                so many of them, a quarter of the horizon apart: whoever waits is not to wait for the slow beat.
        """
        times = self._times(record)
        soon = min(times[0], 1.0)
        if record.state is PlacementState.PREPARED:
            return soon
        if record.state is PlacementState.UNCERTAIN and number >= len(times) and late < ROUNDS:
            if not late:
                return max(0.0, self._probing.horizon - followed) + _PAST
            return min(max(self._probing.horizon / 4, soon), self._probing.every)
        if record.state in WATCHED or number >= len(times):
            # At the same moments for all, so that one round asks for many.
            return self._probing.every - self._clock() % self._probing.every
        # A clock that was set back must not silence it, and missed probes are not made all at one moment.
        due = min(self._sent(record) + times[number] - self._clock(), times[number] - followed)
        return min(due, self._probing.every) if due > 0 else soon

    def horizon(self, record: Record) -> datetime:
        """When an order of this placement that was accepted is certainly shown."""
        begin = record.not_after or record.sent_at or record.placement.created_at
        return begin + timedelta(seconds=self._probing.horizon)

    def _sent(self, record: Record) -> float:
        return (record.sent_at or record.placement.created_at).timestamp()

    def _times(self, record: Record) -> list[float]:
        past_horizon = self.horizon(record).timestamp() - self._sent(record) + _PAST
        return sorted({*self._probing.times, past_horizon})
