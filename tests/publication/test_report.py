from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.publication import charts, report
from assay.publication.charts import Bar
from tests.publication import sample
from tests.publication.sample import FIRST, SECOND, make_inputs

NBSP = "\N{NO-BREAK SPACE}"


class Page(HTMLParser):
    """Collects tags, `data` values with their texts, table rows and addresses of a page."""

    VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.amounts: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag == "data":
            self.amounts.append((str(dict(attrs)["value"]), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes something else at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "data":
            self.amounts[-1] = (self.amounts[-1][0], self.amounts[-1][1] + data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def text(published: Path) -> str:
    return (published / "2023-02-17T160000Z" / "report.html").read_text()


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_is_well_formed_and_its_links_lead_to_its_own_parts_or_files(page: Page, published: Path) -> None:
    assert page.open == []
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for tag, attributes in page.tags:
        for name in ("href", "src"):
            target = attributes.get(name)
            if target and target.startswith("#"):
                assert target[1:] in identifiers, target
            elif target:
                assert tag == "a", tag
                assert (published / "2023-02-17T160000Z" / target).is_file(), target
        labelled = attributes.get("aria-labelledby")
        assert labelled is None or labelled in identifiers


def test_the_page_asks_for_nothing_outside_itself_and_runs_no_script(text: str, page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import|javascript:|\son\w+=|src=", text)
    assert "https://" not in text
    assert "http://" not in text
    assert """content="default-src 'none'; style-src 'unsafe-inline'\"""" in text


def test_it_says_entity_moment_and_verdict_in_words(text: str) -> None:
    assert "<h1>Sandbox Exchange</h1>" in text
    assert "17 February 2023, 16:00 UTC" in text
    assert "In each of 3 assets, it held at least what it owed its users." in text


def test_every_amount_of_the_tables_is_on_the_page_exactly(page: Page, published: Path) -> None:
    shown = {value for value, _ in page.amounts}
    tables = published / "2023-02-17T160000Z" / "tables"
    for name in ("reserve_ratios", "deposit_deltas", "reserve_deltas", "reconciliation"):
        for row in pq.read_table(tables / f"{name}.parquet").to_pylist():
            for column, value in row.items():
                if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
                    assert str(int(value)) in shown, (name, column)


def test_the_shown_text_of_an_amount_is_its_exact_value_cut_to_eight_decimals(page: Page) -> None:
    decimals = {"BTC": 8, "ETH": 18, "USDT": 6}
    for value, shown in page.amounts:
        plain = Decimal(shown.replace(",", "").replace("\N{MINUS SIGN}", "-"))
        assert any(plain == _cut(int(value), places) for places in decimals.values()), (value, shown)


def _cut(units: int, decimals: int) -> Decimal:
    shown = min(8, decimals)
    magnitude = abs(units) // 10 ** (decimals - shown)
    return Decimal(magnitude if units >= 0 else -magnitude).scaleb(-shown)


def test_ratios_are_rounded_down_and_changes_half_up_as_in_the_published_reports(page: Page) -> None:
    rows = {row[0]: row for row in page.rows if len(row) == 7 and row[-1] == "yes"}
    assert rows["BTCBitcoin"] == ["BTCBitcoin", "135.735", "130.664", "+5.071", f"103.88{NBSP}%", f"105.29{NBSP}%", "yes"]
    assert rows["ETHEther"][4] == f"104.09{NBSP}%"
    assert rows["USDTTether USD"][4] == f"102.08{NBSP}%"
    changes = {row[0]: row[4] for row in page.rows if len(row) == 7 and row[4].startswith("+") and row[4].endswith("%")}
    assert changes == {"BTCBitcoin": f"+11.03{NBSP}%", "ETHEther": f"+9.29{NBSP}%", "USDTTether USD": f"+3.32{NBSP}%"}


def test_blocks_coverage_and_sources_are_on_the_page(text: str, published: Path) -> None:
    tables = published / "2023-02-17T160000Z" / "tables"
    for row in pq.read_table(tables / "snapshot_blocks.parquet").to_pylist():
        assert row["hash"] in text
    for row in pq.read_table(tables / "coverage.parquet").to_pylist():
        assert row["description"] in text
    assert "bitcoin-1 (electrum), bitcoin-2 (electrum)" in text
    assert "1 source" in text


def test_what_is_not_part_of_the_publication_is_named(text: str) -> None:
    for missing in ("A signature", "A sign from users who never check", "A zero-knowledge proof"):
        assert missing in text


def test_a_first_publication_compares_with_nothing(published: Path) -> None:
    text = (published / "2023-01-18T160000Z" / "report.html").read_text()
    assert "This is the first publication of the series" in text
    assert "Change since" not in text


def test_an_asset_that_is_short_by_one_base_unit_is_never_shown_as_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sample.RESERVES, SECOND, sample.RESERVES[SECOND] | {"BTC": "130.66399999"})
    inputs = make_inputs(tmp_path, SECOND)
    text = report.render(inputs.tables, inputs.settings, as_of=SECOND, previous=None, corrects=None)
    assert "It held less than it owed its users in 1 asset of 3" in text
    assert f"99.99{NBSP}%" in text
    assert f"100.00{NBSP}%" not in text


def test_names_from_the_configuration_cannot_inject_markup(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, FIRST)
    settings = dataclasses.replace(inputs.settings, entity="<script>alert(1)</script>")
    text = report.render(inputs.tables, settings, as_of=FIRST, previous=None, corrects=None)
    assert "<script>" not in text


def test_drawing_the_same_twice_gives_the_same_bytes_whatever_was_drawn_before() -> None:
    bars = [Bar(row="BTC", value=10388, label="103.88 %", colour="wallets", mark=10529)]
    first = (charts.ratios(bars), charts.changes(bars), charts.shares({"BTC": {"a": 10000}}, {"a": "chain1"}))
    assert first == (charts.ratios(bars), charts.changes(bars), charts.shares({"BTC": {"a": 10000}}, {"a": "chain1"}))
    assert not any("url(" in drawing for drawing in first)
    assert ">103.88 %</text>" in first[0]


def test_a_huge_ratio_does_not_hide_the_line_at_what_is_owed() -> None:
    drawn = charts.ratios(
        [Bar(row="BTC", value=10**15, label="lots", colour="wallets"), Bar(row="ETH", value=9000, label="90 %", colour="short")]
    )
    assert ">lots</text>" in drawn
    assert ">100 %</text>" in drawn


@given(reserves=st.integers(0, 10**38 - 1), owed=st.integers(1, 10**38 - 1))
def test_a_shown_ratio_reaches_100_percent_only_if_the_amounts_do(reserves: int, owed: int) -> None:
    shown = Decimal(report.ratio(reserves, owed).removesuffix(f"{NBSP}%").replace(",", ""))
    assert (shown >= 100) == (reserves >= owed)


@given(now=st.integers(0, 10**38 - 1), before=st.integers(1, 10**38 - 1))
def test_a_shown_change_is_within_half_a_hundredth_of_the_exact_one(now: int, before: int) -> None:
    shown = report.change(now, before).removesuffix(f"{NBSP}%").replace(",", "").replace("\N{MINUS SIGN}", "-")
    hundredths = int(shown.replace(".", ""))
    assert abs(hundredths * before - 10_000 * (now - before)) * 2 <= before


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (2520, "42 min"), (3600, "1 h"), (3661, "1 h 1 min"), (86_399, "23 h 59 min")],
)
def test_distances_are_readable(seconds: int, shown: str) -> None:
    assert report.distance(seconds) == shown


def test_moments_show_seconds_only_where_there_are_some() -> None:
    assert report.moment(datetime(2023, 2, 17, 16, tzinfo=UTC)) == "17 February 2023, 16:00 UTC"
    assert report.moment(datetime(2023, 2, 17, 15, 59, 19, tzinfo=UTC)) == "17 February 2023, 15:59:19 UTC"


def test_no_cell_shows_a_programs_word_for_nothing(page: Page) -> None:
    assert page.rows
    assert not {"None", "nan", "null"} & {cell for row in page.rows for cell in row}
