"""Rows of a venue to models: what every adapter reads alike. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from orderbridge.model.results import BadRow

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class Unusable(ValueError):
    """A row that cannot become an order or a fill; `id` is its id, where it has one."""

    def __init__(self, reason: str, *, id: str | None = None) -> None:
        super().__init__(reason)
        self.id = id


@dataclass(slots=True)
class Rows(Generic[T]):
    """What a list held: the good rows, and the bad ones beside them."""

    good: list[T] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Rows in the answer, good and bad."""
        return len(self.good) + len(self.bad)


def built(model: type[M], id: str | None, /, **fields: Any) -> M:
    """The model of these fields. Unusable: one of them cannot be."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        what = ", ".join(".".join(map(str, item["loc"])) + f" ({item['type']})" for item in error.errors())
        raise Unusable(f"unusable fields: {what}", id=id) from error


def fold(word: str) -> str:
    """A status or type word in the form that tables use: lower case, trimmed, `-` and `_` as a space."""
    return " ".join(word.strip().lower().replace("-", " ").replace("_", " ").split())


def moment_of(text: str) -> datetime:
    """A time in ISO 8601, which without a zone is UTC. ValueError: it is none."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("z", "Z"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def is_within(moment: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    """Whether a time lies in a window, whose ends belong to it; one that is not known may."""
    return moment is None or ((since is None or moment >= since) and (until is None or moment <= until))
