"""The report's plots, as SVG with text kept as text.

Colours are CSS variables of the page, so that light and dark come from one picture. Sizes and margins are fixed, so nothing depends on the
fonts of the machine that draws: the same tables give the same bytes. (Bars have both ends for that reason too: a bar with one end is
stacked, and a stack is clipped by an element whose number counts on from plot to plot.) What a plot needs of a number is whole hundredths
of a percent, and the labels beside the bars are the page's own texts; no plot computes a figure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 20, 6, 24
_PLOT = WIDTH - _LEFT - _RIGHT
_INK, _MUTED, _LINE = "var(--ink)", "var(--muted)", "var(--line)"
_LABEL = 12
_ROW = 50  # the same in every plot, so that the rows of plots beside each other are level
_WHOLE = 10_000  # hundredths of a percent


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar.

    Attributes:
        row: Text on the vertical axis, an asset.
        value: Hundredths of a percent.
        label: The figure as the page writes it.
        colour: CSS variable of the page, without dashes: `wallets`.
        mark: Hundredths of a percent of a tick across the bar; none by default.
    """

    row: str
    value: int
    label: str
    colour: str
    mark: int | None = None


def ratios(bars: Sequence[Bar]) -> str:
    """Draw reserve ratios, one bar an asset, with a line at 100 % and a tick at the previous ratio."""
    alt = _altair()

    # Bars that dwarf the line at 100 % would hide what matters; their labels still tell.
    limit = 2 * _WHOLE
    rows: list[dict[str, Any]] = [
        {
            "row": bar.row,
            "value": min(bar.value, limit),
            "label": bar.label,
            "fill": f"var(--{bar.colour})",
            "mark": bar.mark and min(bar.mark, limit),
        }
        for bar in bars
    ]
    widest = max([_WHOLE, *(row["value"] for row in rows)])
    x = _x(alt, 0, widest * 127 // 100, [0, _WHOLE // 2, _WHOLE])
    base = alt.Chart(alt.Data(values=rows)).encode(y=_y(alt, [bar.row for bar in bars]))
    drawn = base.mark_bar(height=16, cornerRadiusEnd=2).encode(x=x("value"), x2=alt.datum(0), fill=alt.Fill("fill:N", scale=None))
    ticks = base.transform_filter("datum.mark !== null").mark_tick(thickness=2, size=24, color=_INK).encode(x=x("mark"))
    labels = base.mark_text(align="right", dx=_RIGHT, fontSize=_LABEL, fontWeight=600, fill=_INK).encode(x=alt.value(_PLOT), text="label:N")
    line = alt.Chart(alt.Data(values=[{"at": _WHOLE}])).mark_rule(stroke=_INK, strokeDash=[3, 3], strokeWidth=1).encode(x=x("at"))
    return _svg(alt, drawn + ticks + line + labels, height=_ROW * len(bars))


def changes(bars: Sequence[Bar]) -> str:
    """Draw percentage changes, the bars of a row above each other, to the right of zero when positive."""
    alt = _altair()

    rows = [{"row": bar.row, "value": bar.value, "label": bar.label, "fill": f"var(--{bar.colour})", "series": bar.colour} for bar in bars]
    high, low = max(0, *(bar.value for bar in bars)), min(0, *(bar.value for bar in bars))
    room = max(high - low, 100) * 3 // 10
    x = _x(alt, low - (room if low else 0), high + room, [0])
    names, series = list(dict.fromkeys(bar.row for bar in bars)), list(dict.fromkeys(bar.colour for bar in bars))
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=_y(alt, names, inner=0.28), yOffset=alt.YOffset("series:N", sort=series, scale=alt.Scale(paddingInner=0.15))
    )
    drawn = base.mark_bar(cornerRadiusEnd=2).encode(x=x("value"), x2=alt.datum(0), fill=alt.Fill("fill:N", scale=None))
    style: dict[str, Any] = {"fontSize": _LABEL, "fill": _INK, "baseline": "middle", "yOffset": 8}
    right = base.transform_filter("datum.value >= 0").mark_text(align="left", dx=6, **style).encode(x=x("value"), text="label:N")
    left = base.transform_filter("datum.value < 0").mark_text(align="right", dx=-6, **style).encode(x=x("value"), text="label:N")
    return _svg(alt, drawn + right + left, height=_ROW * len(names))


def shares(rows: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]) -> str:
    """Draw how each row divides among parts.

    Args:
        rows: By row and part: hundredths of a percent.
        colours: By part: CSS variable of the page, without dashes; also the order of the parts.
    """
    alt = _altair()

    pieces = []
    for row, parts in rows.items():
        start = 0
        for part in (name for name in colours if parts.get(name)):
            pieces.append({"row": row, "start": start, "end": start + parts[part], "fill": f"var(--{colours[part]})"})
            start += parts[part]
    x = _x(alt, 0, _WHOLE, [0, _WHOLE // 2, _WHOLE])
    base = alt.Chart(alt.Data(values=pieces)).encode(y=_y(alt, list(rows)))
    drawn = base.mark_bar(height=16, stroke="var(--paper)", strokeWidth=1).encode(
        x=x("start"), x2="end:Q", fill=alt.Fill("fill:N", scale=None)
    )
    return _svg(alt, drawn, height=_ROW * len(rows))


def _altair() -> Any:
    # Any: its constructors are only partly typed.
    import altair as alt

    return alt


def _x(alt: Any, low: int, high: int, ticks: list[int]) -> Any:
    axis = alt.Axis(
        values=ticks,
        labelExpr="datum.value / 100 + ' %'",
        title=None,
        domain=False,
        ticks=False,
        grid=True,
        gridColor=_LINE,
        labelFlush=False,
        labelPadding=6,
    )
    return lambda field: alt.X(f"{field}:Q", scale=alt.Scale(domain=[low, high], nice=False, zero=False), axis=axis)


def _y(alt: Any, rows: list[str], inner: float = 0.4) -> Any:
    axis = alt.Axis(
        minExtent=_LEFT, maxExtent=_LEFT, title=None, ticks=False, domain=False, labelPadding=10, labelFontWeight=600, labelColor=_INK
    )
    return alt.Y("row:N", sort=rows, scale=alt.Scale(paddingInner=inner, paddingOuter=inner / 2), axis=axis)


def _svg(alt: Any, chart: Any, *, height: int) -> str:
    import vl_convert

    padding = {"left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM}
    finished = (
        chart.properties(width=_PLOT, height=height, padding=padding, autosize=alt.AutoSizeParams(type="none"))
        .configure(font="inherit", aria=False, background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=_LABEL, labelColor=_MUTED, labelLimit=0)
    )
    svg: str = vl_convert.vegalite_to_svg(finished.to_dict())
    # The page scales the picture and describes it; both need the outer tag without fixed sizes.
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="presentation" aria-hidden="true">', svg, count=1)
