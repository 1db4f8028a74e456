"""Which order is meant: an id, perhaps with its gateway and its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import StringConstraints, model_validator

from orderbridge.model.base import UserModel
from orderbridge.model.order import Order, OrderKey
from orderbridge.model.placement import Placement
from orderbridge.model.symbol import Symbol

if TYPE_CHECKING:
    from typing import Self

_CLIENT: Final = "client"
_ORDER: Final = "order"
Name = Annotated[str, StringConstraints(min_length=1)]


class OrderRef(UserModel):
    """
    A name for one order: the venue's `order_id`, our `client_order_id`, or an `id` of either kind.

    Without a `gateway` every gateway asked may answer. `symbol` helps venues that need it, and tells orders of one
    number apart where each market has its own; it is no part of the text. The text forms are `x`, `bitso:x`,
    `bitso/mm:x` and `bitso:client:x`; beside them `client:x` and `order:x` name the kind without a gateway. An id that
    holds a colon goes as `OrderRef(id=…)`.
    """

    gateway: Name | None = None
    order_id: Name | None = None
    client_order_id: Name | None = None
    id: Name | None = None
    symbol: Symbol | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            gateway: str | None = None,
            order_id: str | None = None,
            client_order_id: str | None = None,
            id: str | None = None,
            symbol: str | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not any((self.order_id, self.client_order_id, self.id)):
            raise ValueError("an order ref needs an order_id, a client_order_id or an id")
        if self.id and (self.order_id or self.client_order_id):
            raise ValueError("give id when its kind is not known, else order_id or client_order_id")
        return self

    @classmethod
    def parse(cls, text: str) -> OrderRef:
        """
        Read `x`, `bitso:x`, `bitso/mm:x` or `bitso:client:x`.

        Raises:
            ValueError: there is no id in the text.
        """
        head, colon, rest = text.partition(":")
        if not colon:
            return cls._checked(text, id=text)
        if head == _CLIENT:
            return cls._checked(text, client_order_id=rest)
        if head == _ORDER:
            return cls._checked(text, order_id=rest)
        kind, colon, last = rest.partition(":")
        if colon and kind == _CLIENT:
            return cls._checked(text, gateway=head, client_order_id=last)
        return cls._checked(text, gateway=head, order_id=rest)

    @classmethod
    def _checked(
        cls,
        text: str,
        *,
        gateway: str | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        id: str | None = None,
    ) -> OrderRef:
        if gateway == "" or not (order_id or client_order_id or id):
            raise ValueError(f"{text!r} names no order: write an id, or gateway:id, or gateway:client:id")
        return cls(gateway=gateway, order_id=order_id, client_order_id=client_order_id, id=id)

    @classmethod
    def of(cls, ref: RefLike) -> OrderRef:
        """The ref that a text, key, order or placement stands for."""
        if isinstance(ref, OrderRef):
            return ref
        if isinstance(ref, str):
            return cls.parse(ref)
        if isinstance(ref, OrderKey):
            return cls(gateway=ref.gateway, order_id=ref.order_id, symbol=ref.symbol or None)
        if isinstance(ref, Order):
            return cls(
                gateway=ref.gateway,
                order_id=ref.order_id,
                client_order_id=ref.client_order_id or None,
                symbol=ref.symbol,
            )
        if isinstance(ref, Placement):
            order = ref.order
            return cls(
                gateway=ref.gateway,
                order_id=order.order_id if order else None,
                client_order_id=ref.client_order_id or None,
                symbol=ref.request.symbol,
            )
        raise TypeError(f"a ref is a str, OrderRef, OrderKey, Order or Placement, not {type(ref).__name__}")

    def __str__(self) -> str:
        if self.order_id is not None:
            return f"{self.gateway or _ORDER}:{self.order_id}"
        if self.client_order_id is not None:
            kind = f"{_CLIENT}:{self.client_order_id}"
            return f"{self.gateway}:{kind}" if self.gateway else kind
        return f"{self.gateway}:{self.id}" if self.gateway else str(self.id)

    def __hash__(self) -> int:
        return hash((self.gateway, self.order_id, self.client_order_id, self.id))


RefLike = str | OrderRef | OrderKey | Order | Placement
