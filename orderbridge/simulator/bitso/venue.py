"""The simulated Bitso as tests and bots hold it."""

import string
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Unpack

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitso.app import ACCOUNT, SECOND_ACCOUNT, BitsoApp, Route
from orderbridge.simulator.bitso.books import BOOKS, PRECISION
from orderbridge.simulator.bitso.putting import BitsoPut, spec_from
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.money import Balance
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.handle import MarketHandle
from orderbridge.simulator.putting import build
from orderbridge.simulator.settings import BitsoSettings
from orderbridge.simulator.venue import LOOPBACK, Venue

if TYPE_CHECKING:
    from orderbridge.gateway import OrderGateway

FUNDS = Decimal(1_000_000_000)
ID_LENGTH = 16
_LETTERS = string.ascii_letters + string.digits


class SimBitso(Venue[Route]):
    """
    A simulated Bitso and two accounts there: `bot`, which all calls here mean unless told, and `mm`.

    Attributes:
        settings: every knob; may be changed at any time.
        engine: the exchange itself, for tests that go below HTTP.
    """

    def __init__(
        self, settings: BitsoSettings, *, clock: SimClock, rng: Random, port: int = 0, host: str = LOOPBACK
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._ids = Random(rng.random())
        self.engine = Engine(instruments=dict(BOOKS), clock=clock, rng=Random(rng.random()))
        for account in (ACCOUNT, SECOND_ACCOUNT):
            for currency in PRECISION:
                self.engine.accounts.deposit(account, currency, FUNDS)
        app = BitsoApp(self.engine, settings, self.new_id)
        super().__init__(app, clock=clock, rng=Random(rng.random()), port=port, host=host)

    @property
    def base_url(self) -> str:
        """What stands before `/orders`: `http://127.0.0.1:PORT/api/v3`."""
        return f"{self.origin}/api/v3"

    @property
    def api_key(self) -> str:
        """The key that works."""
        return self.settings.api_key

    @property
    def api_secret(self) -> str:
        """Its secret."""
        return self.settings.api_secret

    def gateway(self, **settings: Any) -> "OrderGateway":
        """
        An `OrderGateway` of this library's, pointed here and without pacing, so that tests do not wait.

        The simulated Bitso does count, as the real one does: past 300 private calls in a minute it locks out,
        unless `settings.pacing` is off. `limits="venue"` paces the gateway too.

        Args:
            settings: the gateway's settings, over those that the simulator gives: the second key for
                `account="mm"`, the first for any other.
        """
        from orderbridge.simulator.handout import hand_out  # the only way from here to an adapter

        own: dict[str, Any] = {"api_key": self.api_key, "api_secret": self.api_secret, "base_url": self.base_url}
        own["elapsed"] = self.clock.time  # so that a test that moves the clock need not live through it
        if settings.get("account") == SECOND_ACCOUNT:
            own |= {"api_key": self.settings.second_key, "api_secret": self.settings.second_secret}
        return hand_out("bitso", own, clock=self.clock, settings=settings)

    def market(self, book: str) -> MarketHandle:
        """A market by Bitso's name of it: make prices, fill orders, look at the book."""
        return MarketHandle(self.engine, book, self.lock)

    @property
    def balances(self) -> dict[str, Balance]:
        """Ground truth: what the first account owns and what of it is locked, by currency."""
        return self.engine.accounts.of(ACCOUNT)

    def accepted(self, *, client_order_id: str | None = None, order_id: str | None = None) -> list[SimOrder]:
        """
        Ground truth: every order that the exchange ever took, account by account, oldest first; those of one id,
        if given.
        """
        with self.lock:
            return [
                order
                for account in (ACCOUNT, SECOND_ACCOUNT)
                for order in self.engine.ledger.select(account, client_order_id=client_order_id, order_id=order_id)
            ]

    def new_id(self) -> str:
        """Sixteen letters and digits, from the seed."""
        return "".join(self._ids.choices(_LETTERS, k=ID_LENGTH))

    def put(self, **about: Unpack[BitsoPut]) -> SimOrder:
        """
        Put an order on the exchange, in any state, without asking any rule.

        Everything has a default. Sizes may be told in Bitso's names or in ours; a status alone implies the
        filled part (`completed` all of it, `partially filled` half). An order that has ended is visible for
        the usual window from now on, or from `updated_at` if that is given.

        Args:
            about: any of `BitsoPut`. `trades` makes fills for the filled part (True), makes none (False), or
                lists (price, quantity) of each. `visible=False` hides the order from look-up and open orders;
                its trades stay. `raw` are fields to show as they are (unknown words, numbers as Decimal);
                `...` as a value leaves the field out.
        """
        with self.lock:
            spec = spec_from(about, self.engine.instruments)
            account = about.get("account", ACCOUNT)
            built = build(spec, account=account, order_id=spec.order_id or self.new_id(), now=self.clock.now())
            return built.put_on(self.engine)
