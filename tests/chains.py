"""Whether the events of a placement could have happened, one after the other, by the table of states."""

from collections.abc import Sequence

from orderbridge.placement import Event, Happened, Record

# The table, written out once more, so that a slip in the code's own is found. Rows by their number.
_ROWS = """
prepared   denied              denied       2
prepared   sending             sending      3
sending    nothing_left        prepared     4
sending    refused             rejected     5
sending    acknowledged        placed       6
sending    unclear             uncertain    7
sending    exists              uncertain    8
uncertain  exists              uncertain    8
sending    found               placed       9
uncertain  found               placed       9
uncertain  acknowledged        placed       9
sending    conflict            uncertain    10
uncertain  conflict            uncertain    10
uncertain  absent              not_placed   11
uncertain  gave_up             uncertain    12
uncertain  decided_placed      placed       13
uncertain  decided_not_placed  not_placed   13
uncertain  resend              prepared     -
"""
_SHOWN = ("found", "acknowledged")
LEGAL = {
    **{(before, happened): after for before, happened, after, _ in map(str.split, _ROWS.strip().splitlines())},
    # Row 14, and whatever else is shown against what was concluded; a reply may also come after a sighting.
    **{(state, shown): "placed" for state in ("prepared", "denied", "rejected", "not_placed") for shown in _SHOWN},
    **{("placed", shown): "placed" for shown in _SHOWN},
    **{(state, "left"): state for state in ("prepared", "sending", "uncertain", "placed")},
    **{(state, "told"): state for state in ("uncertain", "placed")},
    **{(state, "conflict"): state for state in ("prepared", "denied", "rejected", "not_placed", "placed")},
}


def breaches(record: Record, events: Sequence[Event]) -> list[str]:
    """What is wrong with a chain: gaps, steps that the table does not have, an end that the record does not share."""
    wrong: list[str] = []
    state: str | None = None
    exists = False
    for number, event in enumerate(events, start=1):
        name = f"{number}: {event.before} {event.happened} {event.after}"
        if event.seq != number:
            wrong.append(f"{name}: its number is {event.seq}")
        if number == 1:
            if event.happened is not Happened.STORED or event.before is not None:
                wrong.append(f"{name}: a chain begins with being stored")
        elif event.before != state:
            wrong.append(f"{name}: it was {state}")
        elif event.anomaly or event.happened is Happened.TAKEN:
            if event.after != event.before:
                wrong.append(f"{name}: this changes nothing")
        elif LEGAL.get((str(event.before), str(event.happened))) != event.after:
            wrong.append(f"{name}: the table has no such step")
        elif event.happened is Happened.ABSENT and exists:
            wrong.append(f"{name}: it was known to exist")
        exists = exists or event.happened is Happened.EXISTS
        state = str(event.after)
    if not events or state != record.state:
        wrong.append(f"the record is {record.state}, the chain ends in {state}")
    return wrong
