"""What Bitso's codes mean, row by row."""

import pytest

from orderbridge.adapters.bitso.codes import CODES, fold_code
from orderbridge.venue.meanings import Meaning

# From the facts on codes and on what counts as a refusal when an order is submitted.
EXPECTED = {
    "not_admitted": ["0206", "0207"],
    "credentials": ["0201", "0203", "0208", "0211", "0215", "0326"],
    "permission": ["0202", "0213", "0216"],
    "funds": ["0379", "0601", "0602"],
    "invalid": ["0303", "0304", "0306", "0307", "0308", "0309", "0329", "0372", "0408", "0412"],
    "rule": ["0301", "0401", "0407"],
    "closed": ["0410", "0411", "1008"],
    "too_many": ["1001"],
    "exists": ["0356"],
    "not_found": ["0312", "0357"],
    "no_trades": ["0378"],
    "not_ready": ["0377"],
    "throttled": ["0801", "0802"],
    "refused": ["0320", "0321", "0343", "0346", "0501", "0506", "0701", "0705", "0723", "0901", "1005", "1201", "1303"],
    "unclear": [
        "0101",
        "0212",
        "0373",
        "0375",
        "0414",
        "0418",
        "1000",
        "1002",
        "1003",
        "1004",
        "1007",
        "1103",
        "1401",
        "1402",
        "1700",
    ],
}
ROWS = [(code, meaning) for meaning, codes in EXPECTED.items() for code in codes]


@pytest.mark.parametrize(("code", "meaning"), ROWS)
def test_codes(code: str, meaning: str) -> None:
    """Each code has the meaning that its documentation gives it."""
    assert CODES.both[code] is Meaning(meaning)


@pytest.mark.parametrize(
    ("code", "read", "submit", "edit"),
    [
        ("0304", "bad_id", "invalid", "invalid"),
        ("0372", "bad_id", "invalid", "invalid"),
        ("0322", "elsewhere", "refused", "refused"),
        ("0312", "not_found", "refused", "not_found"),
        ("1401", "not_found", "unclear", "unclear"),
    ],
)
def test_some_codes_say_one_thing_to_a_read_and_another_to_a_write(
    code: str, read: str, submit: str, edit: str
) -> None:
    """An id of a list, a path, or an order that is not there: of a new order they refuse it, or tell nothing."""
    assert [CODES.of(code, name) for name in ("lookup", "cancel", "submit", "edit")] == [read, read, submit, edit]


def test_every_documented_code_is_a_row() -> None:
    """Between 0101 and 1707, every code of the complete list has a meaning of its own."""
    spans = [(101, 102), (201, 216), (301, 382), (401, 418), (501, 504), (506, 506), (601, 602), (701, 727)]
    spans += [(729, 732), (801, 802), (901, 901), (1000, 1009), (1101, 1106), (1201, 1202), (1299, 1299)]
    spans += [(1301, 1303), (1401, 1402), (1700, 1707)]

    missing = [
        f"{code:04}" for first, last in spans for code in range(first, last + 1) if f"{code:04}" not in CODES.both
    ]

    assert missing == []


@pytest.mark.parametrize("code", ["9999", "", "0", "abc", "1710"])
def test_code_that_nobody_knows_is_unclear(code: str) -> None:
    """Only a code on the list is a refusal."""
    assert {CODES.of(fold_code(code), name) for name in ("lookup", "submit", "edit")} == {Meaning.UNCLEAR}


@pytest.mark.parametrize(("code", "folded"), [(104, "0104"), ("312", "0312"), ("0312", "0312"), (" 1401 ", "1401")])
def test_codes_fold_to_four_characters(code: object, folded: str) -> None:
    """Old answers carried a bare integer; it is padded before it is compared."""
    assert fold_code(code) == folded
