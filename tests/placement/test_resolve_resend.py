"""`on_uncertain="resend_if_absent"`: what is sent again, how often, and what never is."""

import asyncio
from pathlib import Path

import pytest

from orderbridge.errors import (
    DuplicateClientOrderId,
    NotSent,
    NotSupported,
    OrderDenied,
    OutcomeUnknown,
    VenueUnavailable,
)
from orderbridge.placement import SqliteJournal
from orderbridge.placement.resolve import RESENDS
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, limit_buy, seen
from tests.placement.test_resolve_certificate import Settled, Venue

POLICY = "resend_if_absent"


class Again(Venue):
    """A venue whose answers to each submit are given in turn; the last one stays."""

    def __init__(self, *answers: object, **capabilities: object) -> None:
        super().__init__(**capabilities)
        self.answers = list(answers)

    async def submit(self, request, **how):  # type: ignore[no-untyped-def]
        self.sent.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return seen(client_order_id=request.client_order_id)


async def test_what_is_proven_absent_is_sent_again_under_its_id() -> None:
    """With a certificate, where the id keeps a living first one from being doubled."""
    venue = Again(OutcomeUnknown("lost"), "accepted")
    settled = Settled(venue, on_uncertain=POLICY)

    placement = await settled.run()

    assert (placement.state, placement.attempts) == ("placed", 2)
    assert len({request.client_order_id for request in venue.sent}) == 1
    assert any(each.startswith("absent in ") for each in placement.evidence)


async def test_without_proof_nothing_is_sent_again() -> None:
    """A venue that answers only in part gives no certificate, and so no second send."""
    venue = Again(OutcomeUnknown("lost"), "accepted")
    venue.open = VenueUnavailable("down")

    placement = await Settled(venue, on_uncertain=POLICY).run()

    assert (placement.state, placement.gave_up, len(venue.sent)) == ("uncertain", True, 1)


async def test_what_is_known_to_exist_is_not_sent_again() -> None:
    """A duplicate refusal says that there is an order, wherever it hides."""
    venue = Again(DuplicateClientOrderId("taken"), "accepted")

    placement = await Settled(venue, on_uncertain=POLICY).run()

    assert (placement.state, placement.gave_up, len(venue.sent)) == ("uncertain", True, 1)


async def test_an_order_is_sent_again_so_often_and_no_more() -> None:
    """A venue that loses everything ends in a verdict of absence."""
    venue = Again(OutcomeUnknown("lost"))

    placement = await Settled(venue, on_uncertain=POLICY).run()

    assert (placement.state, len(venue.sent)) == ("not_placed", 1 + RESENDS)


async def test_an_id_that_is_unique_for_ever_needs_the_certificate_too() -> None:
    """A refusal of a resend without proof could not be told from one of the first: so there is none."""
    venue = Again(OutcomeUnknown("lost"), "accepted", idempotency="forever")

    proven = await Settled(venue, on_uncertain=POLICY).run()
    unproven = Again(OutcomeUnknown("lost"), "accepted", idempotency="forever")
    unproven.open = VenueUnavailable("down")
    await Settled(unproven, on_uncertain=POLICY).run()

    assert (proven.state, len(venue.sent), len(unproven.sent)) == ("placed", 2, 1)


@pytest.mark.parametrize("idempotency", ["tag_only", "none"])
async def test_where_ids_do_not_keep_a_second_order_away_the_policy_is_refused(idempotency: str) -> None:
    """It is said before anything is sent."""
    venue = Venue(idempotency=idempotency)

    with pytest.raises(NotSupported, match="on_uncertain='hold'"):
        await Settled(venue, on_uncertain=POLICY).bridge.place("bitso", limit_buy())

    assert venue.sent == []


async def test_a_resend_that_does_not_leave_is_tried_on() -> None:
    """No connection at that moment: the placement stays prepared, and its next turn comes."""
    never = NotSent("no connection")
    venue = Again(OutcomeUnknown("lost"), never, never, never, "accepted")

    placement = await Settled(venue, on_uncertain=POLICY).run()

    assert (placement.state, len(venue.sent)) == ("placed", 5)


async def test_case_20_and_28_evidence_that_comes_before_a_resend_cancels_it(sim: Simulator, bridges: Bridges) -> None:
    """A sighting from the caller's own stream, while the resend is planned, and nothing is sent again."""
    bridge = bridges(on_uncertain=POLICY, horizon=0.3)
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)
    sim.bitso.fault("late_visibility", operation="place", nth=1, seconds=60)
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy())
    placement = caught.value.placement
    assert placement is not None
    order_id = sim.bitso.accepted()[0].order_id

    await bridge.observe(seen(order_id=order_id, client_order_id=placement.client_order_id))
    await asyncio.sleep(0.6)

    assert (await bridge.resolve(placement)).state == "placed"
    assert sim.bitso.requests["POST /api/v3/orders"] == 1


async def test_an_id_that_was_out_before_stays_with_its_placement() -> None:
    """What was sent again and then denied here may be out from the first time: its id is not free for another."""
    settled = Settled(Again(OutcomeUnknown("lost"), OrderDenied("a rule of the market")), on_uncertain=POLICY)
    first = await settled.place()

    placement = await settled.bridge.resolve(first, timeout=3)
    await settled.bridge.aclose()

    assert (placement.state, placement.client_order_id) == ("denied", first.client_order_id)
    assert placement.client_order_id is not None


async def test_what_an_earlier_life_left_is_not_sent_again_where_ids_are_only_tags(tmp_path: Path) -> None:
    """The policy is refused there for what is placed; for what it finds it does nothing."""
    venue = Again(OutcomeUnknown("lost"), idempotency="tag_only")
    first = Settled(venue, settle_horizon=60.0, journal=SqliteJournal(tmp_path / "orders.db"))
    placement = await first.place()
    await first.bridge.aclose()

    second = Settled(venue, on_uncertain=POLICY, journal=SqliteJournal(tmp_path / "orders.db"))
    after = await second.bridge.resolve(placement, timeout=10)
    await second.bridge.aclose()

    assert (after.state, len(venue.sent)) == ("not_placed", 1)
