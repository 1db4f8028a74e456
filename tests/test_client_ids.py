"""Client order ids: unique, sortable, and recognised as ours."""

import itertools
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.client_ids import ALPHABET, LENGTH, SHORTEST, from_uuid, is_ours, mint, minted_at, to_uuid

MOMENTS = st.floats(min_value=0, max_value=4e10, allow_nan=False)


@given(MOMENTS, st.integers(min_value=SHORTEST, max_value=64))
def test_minted_ids_are_ours_and_tell_their_time(now: float, longest: int) -> None:
    """An id fits the venue's length, is known as ours, and holds the millisecond it was made in."""
    made = mint(now, max_length=longest)

    assert len(made) == min(LENGTH, longest)
    assert is_ours(made)
    assert minted_at(made) == int(now * 1000) / 1000
    assert set(made) <= set("0123456789abcdefghijklmnopqrstuvwxyz")


@given(st.lists(MOMENTS, min_size=2, max_size=20))
def test_ids_sort_by_time(moments: list[float]) -> None:
    """The order of ids is the order of their milliseconds."""
    made = sorted(mint(now) for now in moments)

    assert [minted_at(each) for each in made] == sorted(int(now * 1000) / 1000 for now in moments)


def test_ids_of_one_millisecond_differ() -> None:
    """A hundred thousand ids of one millisecond are all different."""
    assert len({mint(1_700_000_000.0) for _ in range(100_000)}) == 100_000


@given(st.integers(min_value=2, max_value=LENGTH - 1), st.sampled_from(ALPHABET))
def test_every_wrong_character_is_noticed(place: int, letter: str) -> None:
    """An id with one character changed is none of ours."""
    made = mint(1_700_000_000.0)
    changed = made[:place] + letter + made[place + 1 :]

    assert is_ours(changed) == (changed == made)


def test_swapped_neighbours_are_noticed() -> None:
    """An id with two neighbours swapped is none of ours, but for the one pair that the scheme cannot tell."""
    missed = set()
    for first, second in itertools.permutations(ALPHABET, 2):
        body = mint(1_700_000_000.0)[:-1]
        made = next(
            candidate for check in ALPHABET if is_ours(candidate := body[:12] + first + second + body[14:] + check)
        )
        if is_ours(made[:12] + second + first + made[14:]):
            missed.add(frozenset({first, second}))

    assert len(missed) <= 1


@pytest.mark.parametrize("text", ["", "ob", "my-bot-42", "x" * 26, "OB" + "0" * 24, "ob" + "u" * 24])
def test_other_ids_are_not_ours(text: str) -> None:
    """Whatever was made elsewhere is not taken for ours."""
    assert not is_ours(text)
    with pytest.raises(ValueError, match="not made here"):
        minted_at(text)


def test_venue_with_ids_too_short_is_refused() -> None:
    """Where an id could not be unique none is made."""
    with pytest.raises(ValueError, match="too few"):
        mint(0.0, max_length=SHORTEST - 1)


@given(st.floats(1.2e9, 4e9), st.uuids())
def test_our_ids_fit_into_uuids_and_back(now: float, other: UUID) -> None:
    """A venue that takes UUIDs only shows an order of ours by one; a UUID of anyone else's leaves as it is."""
    made = mint(now)
    uuid = to_uuid(made)

    assert uuid is not None
    assert (str(UUID(uuid)), UUID(uuid).version) == (uuid, 4)
    assert from_uuid(uuid.upper()) == made
    assert to_uuid(str(other)) == str(other)


@pytest.mark.parametrize("id", ["mine-1", "ob00000000005bq4ft", "", "{6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10}"])
def test_other_ids_have_no_uuid(id: str) -> None:
    """What is neither ours in full length nor a UUID has no form for such a venue."""
    assert to_uuid(id) is None
    assert from_uuid(id) == id


def test_uuids_of_others_are_none_of_ours() -> None:
    """Of UUIDs that other programs make hardly one in thousands could be taken for ours, whatever they are made by."""
    others = [str(uuid5(NAMESPACE_URL, str(number))) for number in range(2000)]
    others += [str(UUID(int=uuid5(NAMESPACE_URL, text).int, version=4)) for text in others]

    assert [from_uuid(uuid) for uuid in others] == others
