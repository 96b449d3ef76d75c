"""The medians as bars, one group for each case: an SVG file, written without a library."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from cases import Case
from measure import Sample
from tools import Tool

_WIDTH, _LEFT, _RIGHT, _BAR, _GAP = 860, 330, 90, 16, 18
_COLORS = {"kedge": "#0b7285", "uv": "#be4bdb", "pip": "#f59f00", "python": "#868e96"}


def plot(samples: Iterable[Sample], cases: Sequence[Case], tools: Sequence[Tool]) -> str:
    """Each case has a scale of its own: its slowest tool fills the width."""
    walls: dict[tuple[str, str], list[float]] = {}
    for sample in samples:
        walls.setdefault((sample.case, sample.tool), []).append(sample.wall)
    parts: list[str] = []
    top = _GAP
    for case in cases:
        bars = [
            (tool, median(walls[case.name, tool.name]))
            for tool in tools
            if (case.name, tool.name) in walls
        ]
        parts += _group(case.name, bars, top)
        top += _GAP * 2 + _BAR * len(bars)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join(
        [head, f'<rect width="{_WIDTH}" height="{top}" fill="white"/>', *parts, "</svg>\n"]
    )


def _group(name: str, bars: Sequence[tuple[Tool, float]], top: int) -> Iterator[str]:
    yield _text(8, top + 4, name, weight="bold")
    longest = max(seconds for _, seconds in bars)
    for number, (tool, seconds) in enumerate(bars):
        y = top + _GAP + number * _BAR
        width = max(1.0, (_WIDTH - _LEFT - _RIGHT) * seconds / longest)
        color = _COLORS[tool.name.split()[0]]
        yield _text(_LEFT - 8, y + 8, tool.name, anchor="end")
        yield (
            f'<rect x="{_LEFT}" y="{y - 2}" width="{width:.1f}" height="{_BAR - 4}" '
            f'fill="{color}" fill-opacity="{0.6 if tool.compiles else 1}"/>'
        )
        yield _text(_LEFT + width + 6, y + 8, f"{seconds:.2f} s")


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="#212529">{html.escape(text)}</text>'
    )
