"""The simulated Bitcain as tests and bots hold it."""

from random import Random
from typing import TYPE_CHECKING, Any, Unpack
from uuid import UUID

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitcain.app import BitcainApp, Route
from orderbridge.simulator.bitcain.auth import BOT
from orderbridge.simulator.bitcain.markets import CURRENCIES, FUNDS, MARKETS, name_of
from orderbridge.simulator.bitcain.putting import BitcainPut, mode_of, spec_from
from orderbridge.simulator.bitcain.rules import MODES
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.money import Balance
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.handle import MarketHandle
from orderbridge.simulator.putting import build
from orderbridge.simulator.settings import BitcainSettings
from orderbridge.simulator.venue import LOOPBACK, Venue

if TYPE_CHECKING:
    from orderbridge.gateway import OrderGateway


class SimBitcain(Venue[Route]):
    """
    A simulated Bitcain account, with paper and live books apart.

    Attributes:
        settings: every switch; may be changed at any time.
        engines: the exchanges themselves, `paper` and `live`, for tests that go below HTTP.
    """

    def __init__(
        self, settings: BitcainSettings, *, clock: SimClock, rng: Random, port: int = 0, host: str = LOOPBACK
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._ids = Random(rng.random())
        self.engines = {
            mode: Engine(instruments=dict(MARKETS), clock=clock, rng=Random(rng.random())) for mode in MODES
        }
        for engine in self.engines.values():
            for currency in CURRENCIES:
                engine.accounts.deposit(BOT, currency, FUNDS)
        app = BitcainApp(self.engines, settings, clock=clock, rng=Random(rng.random()), new_id=self.new_id)
        self._tokens = app.tokens
        super().__init__(app, clock=clock, rng=Random(rng.random()), port=port, host=host)

    @property
    def base_url(self) -> str:
        """
        The origin, `http://127.0.0.1:PORT`: order paths begin with `/api/v1`, log-in paths with `/auth`.
        """
        return self.origin

    @property
    def email(self) -> str:
        """Who can log in."""
        return self.settings.email

    @property
    def password(self) -> str:
        """With what."""
        return self.settings.password

    @property
    def token(self) -> str:
        """A bearer token that works without log-in and does not expire."""
        return self.settings.ready_token

    def expire_tokens(self) -> None:
        """Void every access token that a log-in gave, as if its time were up; refresh tokens stay good."""
        with self.lock:
            self._tokens.expire_all()

    def gateway(self, *, trading_mode: str = "paper", **settings: Any) -> "OrderGateway":
        """
        An `OrderGateway` of this library's, pointed here and without pacing.

        Args:
            settings: the gateway's settings, over those that the simulator gives.
        """
        from orderbridge.simulator.handout import hand_out  # the only way from here to an adapter

        own: dict[str, Any] = {"base_url": self.base_url, "trading_mode": trading_mode}
        if not settings.keys() & {"token", "email", "refresh_token"}:
            own["token"] = self.token
        return hand_out("bitcain", own, clock=self.clock, settings=settings)

    def market(self, symbol: str, *, trading_mode: str = "paper", exchange: str = "binanceus") -> MarketHandle:
        """A market of one exchange, paper or live: make prices, fill orders, look at the book."""
        return MarketHandle(self.engines[trading_mode], name_of(exchange, symbol), self.lock)

    @property
    def balances(self) -> dict[str, dict[str, Balance]]:
        """Ground truth: what the account owns, by mode and currency."""
        return {mode: engine.accounts.of(BOT) for mode, engine in self.engines.items()}

    def accepted(self, *, client_order_id: str | None = None, order_id: str | None = None) -> list[SimOrder]:
        """
        Ground truth: every order that was ever taken, paper first, oldest first; those of one id, if given.
        """
        with self.lock:
            return [
                order
                for engine in self.engines.values()
                for order in engine.ledger.select(BOT, client_order_id=client_order_id, order_id=order_id)
            ]

    def new_id(self) -> str:
        """A UUID, from the seed."""
        return str(UUID(int=self._ids.getrandbits(128), version=4))

    def put(self, **about: Unpack[BitcainPut]) -> SimOrder:
        """
        Put an order on the exchange, in any state, without asking any rule.

        Everything has a default; a status alone implies the filled part (`filled` all of it,
        `partially_filled` half).

        Args:
            about: any of `BitcainPut`. `trades` makes fills for the filled part (True), makes none (False),
                or lists (price, quantity) of each. `visible=False` hides the order. `raw` are fields to show
                as they are (unknown words, numbers as Decimal); `...` as a value leaves the field out.
        """
        with self.lock:
            engine = self.engines[mode_of(about)]
            status_field = "order_status" if self.settings.names == "variants" else "status"
            spec = spec_from(about, engine.instruments, status_field=status_field)
            built = build(spec, account=BOT, order_id=spec.order_id or self.new_id(), now=self.clock.now())
            built.order.reason = about.get("error_message")
            return built.put_on(engine)
