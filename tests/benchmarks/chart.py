"""The plot of a run, as SVG: each figure as a part of its goal, and how the cost of an order grows."""

import math
from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape

from tests.benchmarks.figures import Row, shown

_WIDE, _LEFT, _RIGHT, _LINE, _GROWTH = 860, 330, 150, 24, 230
_MET, _MISSED, _INK, _PALE = "#2a7f62", "#c8553d", "#222", "#ddd"
_COLOURS = ("#2a7f62", "#c8553d", "#3d5a98", "#8a6d1d")
_MOST = 8.0  # a bar ends here, however far the figure is from its goal


def svg(rows: Sequence[Row], title: str) -> str:
    """The whole plot."""
    bars = [row for row in rows if row.of_goal is not None and row.points is None]
    lines = [(what, points) for row in rows for what, points in (row.points or {}).items()]
    tall = 90 + _LINE * len(bars)
    parts = [_text(16, 28, title, size=16), *_bars(bars, 78)]
    if lines:
        parts += _growth(lines, tall + 44)
        tall += _GROWTH + 110
    style = "font-family:system-ui,sans-serif;font-size:13px"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {tall}" style="{style}">'
    return "\n".join([head, f'<rect width="{_WIDE}" height="{tall}" fill="#fff"/>', *parts, "</svg>", ""])


def _bars(rows: Iterable[Row], top: float) -> Iterator[str]:
    """Left of the line a goal is met, and by how much."""
    wide = _WIDE - _LEFT - _RIGHT

    def at(value: float) -> float:
        inside = min(max(value, 1 / _MOST), _MOST)
        return _LEFT + wide * (math.log(inside * _MOST) / math.log(_MOST * _MOST))

    rows = list(rows)
    bottom = top + _LINE * len(rows) - 6
    yield _text(_LEFT, top - 26, "measured, as a part of the goal: shorter is better", fill="#666")
    for part in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8):
        yield _line(at(part), top - 4, at(part), bottom, _INK if part == 1 else _PALE)
        yield _text(at(part), top - 9, f"1/{1 / part:.0f}" if part < 1 else f"{part:.0f}", anchor="middle", fill="#666")
    for number, row in enumerate(rows):
        y, share = top + _LINE * number, row.of_goal or 0.0
        colour = _MET if share <= 1 else _MISSED
        yield _text(_LEFT - 8, y + 13, row.what.replace("`", ""), anchor="end", size=12)
        yield f'<rect x="{_LEFT}" y="{y + 2}" width="{max(1.0, at(share) - _LEFT):.1f}" height="14" fill="{colour}"/>'
        told = f"{shown(row.figures[0].value, row.figures[0].of)} ({row.asked})"
        yield _text(_WIDE - _RIGHT + 8, y + 13, told, size=12)


def _growth(lines: Sequence[tuple[str, dict[int, float]]], top: float) -> Iterator[str]:
    """A level line is linear growth; both scales are logarithmic."""
    left, right = 90, _WIDE - 250
    costs = [cost for _, points in lines for cost in points.values()]
    sizes = sorted({size for _, points in lines for size in points})
    low, high = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))

    def x(size: int) -> float:
        return left + (right - left) * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])

    def y(cost: float) -> float:
        return top + 30 + _GROWTH * (high - math.log10(cost)) / (high - low)

    yield _text(16, top, "CPU of one order, by the number of orders: level is linear", size=14)
    for power in range(low, high + 1):
        yield _line(left, y(10.0**power), right, y(10.0**power), _PALE)
        yield _text(left - 8, y(10.0**power) + 4, shown(10.0**power, "s"), anchor="end", fill="#666")
    for size in sizes:
        yield _text(x(size), top + _GROWTH + 50, f"{size:,}", anchor="middle", fill="#666")
    ends = _apart([y(list(points.values())[-1]) for _, points in lines])
    for (what, points), colour, end in zip(lines, _COLOURS, ends, strict=False):
        path = " ".join(f"{x(size):.1f},{y(cost):.1f}" for size, cost in points.items())
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x(n):.1f}" cy="{y(cost):.1f}" r="3" fill="{colour}"/>' for n, cost in points.items())
        yield _text(right + 12, end + 4, what, fill=colour)


def _apart(places: Sequence[float]) -> list[float]:
    """The same places, moved down where two texts would stand on each other."""
    moved = dict.fromkeys(range(len(places)), 0.0)
    last = -math.inf
    for at in sorted(moved, key=lambda each: places[each]):
        moved[at] = last = max(places[at], last + 18)
    return list(moved.values())


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, fill: str = _INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">{escape(text)}</text>'
    )


def _line(x: float, y: float, to_x: float, to_y: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"/>'
