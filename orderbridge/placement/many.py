"""Placing several orders at once, where none of them stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from orderbridge.errors import JournalError, KeyInUse, OrderBridgeError, OrderRejected, OutcomeUnknown
from orderbridge.model.alarm import AlarmKind
from orderbridge.model.placement import Placement
from orderbridge.model.request import OrderRequest
from orderbridge.model.words import PlacementState
from orderbridge.placement.desk import Desk
from orderbridge.placement.placing import Line


async def many(
    line: Line,
    desk: Desk,
    requests: Mapping[str, OrderRequest],
    *,
    send_within: float,
    timeout: float | None,
) -> dict[str, Placement]:
    """Place each request under its key; what became of each, as `bridge.place_many` says."""

    async def one(key: str, request: OrderRequest) -> Placement:
        try:
            record = await line.placer.prepare_anyhow(request, key=key)
        except KeyInUse as error:
            return error.placement
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what became of the others
            return _not_stored(line, desk, key, request, error)
        placement = record.placement
        if placement.state is PlacementState.DENIED:
            return placement
        try:
            order = await line.placer.place(placement, key=None, send_within=send_within, timeout=timeout)
            placement = placement.model_copy(update={"state": PlacementState.PLACED, "order": order})
        except OutcomeUnknown as error:
            placement = error.placement or placement.model_copy(update={"state": PlacementState.UNCERTAIN})
        except OrderRejected as error:
            refused = {"state": PlacementState.REJECTED, "evidence": (*placement.evidence, str(error))}
            placement = placement.model_copy(update=refused)
        except Exception as error:  # noqa: BLE001 - nothing was sent, and what stands in the journal is returned
            if not isinstance(error, OrderBridgeError):
                desk.alarm(AlarmKind.BACKGROUND, f"placing failed: {type(error).__name__}: {error}", record=record)
        try:
            return await desk.placement(desk.as_it_happened(await desk.journal.get(record.id) or record))
        except JournalError:
            return placement

    done = await asyncio.gather(*(one(key, request) for key, request in requests.items()))
    return dict(zip(requests, done, strict=True))


def _not_stored(line: Line, desk: Desk, key: str, request: OrderRequest, error: Exception) -> Placement:
    return Placement(
        placement_id="",
        gateway=line.gateway.name,
        key=key,
        request=request,
        state=PlacementState.DENIED,
        evidence=(f"not stored, so not sent: {type(error).__name__}: {error}",),
        created_at=desk.now(),
    )
