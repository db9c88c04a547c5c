"""What the verifier proves about a publication, and that nothing gets past it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.publication import publish
from assay_verify import log, manifest, rows
from assay_verify.canonical_json import sha256
from assay_verify.findings import Exit, Findings
from assay_verify.publication import Verified, verify
from tests.publication import sample
from tests.publication.lake import NOW, make_lake, settings_for, stage
from tests.publication.sample import SCHEMAS, make_inputs

FIRST, SECOND = "2023-01-18T160000Z", "2023-02-17T160000Z"


def failures(verified: Verified) -> list[str]:
    return [failure for check in verified.findings.checks for failure in check.failures]


def forge(series: Path, name: str, change: Callable[[list[dict[str, Any]]], None], *, folder: str = SECOND) -> Verified:
    """Change a table and make everything above it agree again (file list, manifest, log): what a dishonest publisher would do."""
    publication = series / folder
    path = publication / "tables" / f"{name}.parquet"
    content = pq.read_table(path).to_pylist()
    change(content)
    pq.write_table(pa.Table.from_pylist(content, schema=pa.schema(SCHEMAS[name])), path, compression="zstd")
    return reseal(series, folder)


def reseal(series: Path, folder: str = SECOND, edit: Callable[[dict[str, Any]], None] = lambda values: None) -> Verified:
    publication = series / folder
    values = json.loads((publication / "manifest.json").read_bytes())
    edit(values)
    for item in values["files"]:
        path = publication / item["path"]
        item |= {"size": path.stat().st_size, "sha256": sha256(path.read_bytes())}
        if "rows" in item:
            item["rows"], item["rows_sha256"] = rows.digest(path)
    content = rfc8785.dumps(values)
    (publication / "manifest.json").write_bytes(content)
    lines, before = [], None
    for line in (series / "log.jsonl").read_bytes().splitlines():
        entry = json.loads(line)
        entry.pop("entry_sha256")
        entry["previous_entry_sha256"] = before
        if entry["folder"] == folder:
            entry["manifest_sha256"] = sha256(content)
        before = sha256(rfc8785.dumps(entry))
        lines.append(rfc8785.dumps({**entry, "entry_sha256": before}) + b"\n")
    (series / "log.jsonl").write_bytes(b"".join(lines))
    return verify(publication)


@pytest.mark.parametrize("folder", [FIRST, SECOND])
def test_an_untouched_publication_holds(published: Path, folder: str) -> None:
    verified = verify(published / folder)
    assert failures(verified) == []
    assert verified.findings.exit_code is Exit.HELD
    assert all(check.held and check.compared for check in verified.findings.checks)
    assert len(verified.ratios) == 3


def test_forging_without_changing_anything_still_holds(series: Path) -> None:
    assert forge(series, "reserve_ratios", lambda content: None).findings.exit_code is Exit.HELD


def all_files(series: Path) -> list[Path]:
    return [*sorted(path for path in (series / SECOND).rglob("*") if path.is_file()), series / "log.jsonl"]


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_flipped_bit_at_either_end_of_any_file_is_found(series: Path, place: str) -> None:
    files = all_files(series)
    assert len(files) > 30
    for path in files:
        content = path.read_bytes()
        changed = bytearray(content)
        changed[0 if place == "first" else -1] ^= 1
        path.write_bytes(changed)
        assert verify(series / SECOND).findings.exit_code is Exit.FAILED, path
        path.write_bytes(content)
    assert verify(series / SECOND).findings.exit_code is Exit.HELD


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_in_any_file_is_found(series: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(all_files(series)))
    content = path.read_bytes()
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(changed)
    try:
        assert verify(series / SECOND).findings.exit_code is Exit.FAILED, path
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["manifest.json", "log.jsonl"])
def test_a_changed_letter_anywhere_in_manifest_or_log_is_found_by_those_two_alone(series: Path, name: str) -> None:
    path = series / name if name == "log.jsonl" else series / SECOND / name
    content = path.read_bytes()
    for position in range(0, len(content), 1 if name == "log.jsonl" else 5):
        changed = bytearray(content)
        changed[position] ^= 0x20
        path.write_bytes(changed)
        assert verify_seal(series), position
    path.write_bytes(content)
    assert not verify_seal(series)


def verify_seal(series: Path) -> list[str]:
    """Check manifest and log only, which is quick enough to try every byte."""
    findings = Findings()
    with findings.check("manifest", ""):
        read = manifest.read(series / SECOND)
        log.check(findings, series / "log.jsonl", read)
        findings.checks[0].expect(held=True, failure="")
    return [failure for check in findings.checks for failure in check.failures]


@pytest.mark.parametrize(
    "name", ["tables/prices.parquet", "derived/address_list.csv", "evidence/bitcoin/bitcoin-1/balances-00000.jsonl.zst", "report.html"]
)
@pytest.mark.parametrize("change", ["truncate", "remove", "empty", "extend"])
def test_truncated_missing_and_extended_files_are_found(series: Path, name: str, change: str) -> None:
    path = series / SECOND / name
    content = path.read_bytes()
    path.write_bytes({"truncate": content[: len(content) // 2], "empty": b"", "extend": content + b"\n", "remove": b""}[change])
    if change == "remove":
        path.unlink()
    verified = verify(series / SECOND)
    assert verified.findings.exit_code is Exit.FAILED
    assert any(name in failure for failure in failures(verified))


@pytest.mark.parametrize("name", ["extra.txt", "tables/extra.parquet", "evidence/.hidden", "tables/.hidden/x"])
def test_files_that_are_not_listed_are_found(series: Path, name: str) -> None:
    path = series / SECOND / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert f"{name} is there and not listed" in failures(verify(series / SECOND))


def test_a_link_in_place_of_a_file_is_found(series: Path, tmp_path: Path) -> None:
    path = series / SECOND / "report.html"
    path.rename(tmp_path / "elsewhere.html")
    path.symlink_to(tmp_path / "elsewhere.html")
    assert "report.html is a link, which may lead anywhere" in failures(verify(series / SECOND))


def _set(column: str, value: Any, row: int = 0) -> Callable[[list[dict[str, Any]]], None]:
    def change(content: list[dict[str, Any]]) -> None:
        content[row][column] = value(content[row][column]) if callable(value) else value

    return change


def _drop(row: int) -> Callable[[list[dict[str, Any]]], None]:
    return lambda content: content.pop(row) and None


def _rename(item: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(content: list[dict[str, Any]]) -> None:
        (row,) = (row for row in content if row["item"] == item)
        row["item"] = f"{item}-"

    return change


def _more(value: Any) -> Any:
    return value + 1


LIES = [
    ("wallet_balances", _set("amount", _more), "reserves"),
    ("wallet_balances", _set("amount", lambda amount: -amount - 1), "negative"),
    ("wallet_balances", _set("block_hash", "0x00"), "another block"),
    ("wallet_balances", _set("block_height", _more), "another block"),
    ("wallet_balances", _set("sources_agreed", 0), "sources agreed"),
    ("wallet_balances", _set("evidence", "0" * 64), "is not archived"),
    ("wallet_balances", _set("evidence", ""), "no digest"),
    ("wallet_balances", _set("ownership_status", "proven"), "unknown ownership status"),
    ("wallet_balances", _set("ownership_status", "fresh"), "reserves_proven is"),
    ("wallet_balances", _drop(0), "reserve"),
    ("wallet_balances", lambda content: content.append(content[-1]), "twice or out of order"),
    ("wallet_balances", lambda content: content.reverse(), "twice or out of order"),
    ("wallet_balances", lambda content: content.clear(), "no balance"),
    ("snapshot_blocks", _set("hash", "0x00"), "another block"),
    ("snapshot_blocks", _set("distance_seconds", _more), "the distance is"),
    ("snapshot_blocks", _set("sources_agreed", 0), "sources agreed"),
    ("reserve_stability", _set("amount", _more), "the balances come to"),
    ("reserve_stability", _set("change", _more), "change is"),
    ("reserve_stability", _set("amount_at_offset", _more), "change is"),
    ("reserve_stability", _set("change_percent", lambda percent: percent + type(percent)("0.00000001")), "change_percent is"),
    ("reserve_stability", _set("change_percent", None), "change_percent is"),
    ("reserve_stability", _set("offset_seconds", 0), "it is no other time"),
    ("reserve_stability", _set("offset_seconds", -90_000), "after the time that it is for"),
    ("reserve_stability", _set("block_height", lambda height: height + 1000), "on the other side"),
    ("reserve_stability", _set("chain", "aptos"), "no snapshot block"),
    ("reserve_stability", _set("decimals", 9), "decimals"),
    ("reserve_ratios", _set("reserves", _more), "reserves is"),
    ("reserve_ratios", _set("reserves_encumbered", _more), "reserves_encumbered is"),
    ("reserve_ratios", _set("reserves_proven", _more), "reserves_proven is"),
    ("reserve_ratios", _set("surplus", _more), "surplus is"),
    ("reserve_ratios", _set("ratio_gross", lambda ratio: ratio + type(ratio)("0.00000001")), "ratio_gross is"),
    ("reserve_ratios", _set("ratio_unencumbered", None), "ratio_unencumbered is"),
    ("reserve_ratios", _set("ratio_proven", None), "ratio_proven is"),
    ("reserve_ratios", _set("fully_backed", False), "fully_backed is"),
    ("reserve_ratios", _set("status", "short"), "status is"),
    ("reserve_ratios", _set("liabilities_gross", lambda amount: amount - 1), "current_balance is"),
    ("reserve_ratios", _set("liabilities_net", _more), "closing is"),
    ("reserve_ratios", _set("previous_ratio_gross", None), "previous_ratio_gross is"),
    ("reserve_ratios", _drop(0), "does not name it"),
    ("reserve_ratios", _set("decimals", 9), "decimals"),
    ("deposit_deltas", _set("change", _more), "change is"),
    ("deposit_deltas", _set("change_percent", lambda percent: percent + type(percent)("0.00000001")), "change_percent is"),
    ("deposit_deltas", _set("quantity_effect_usd", _more), "quantity_effect_usd is"),
    ("deposit_deltas", _set("price_effect_usd", _more), "price_effect_usd is"),
    ("deposit_deltas", _set("previous_balance", _more), "previous_balance is"),
    ("deposit_deltas", _set("current_price", _more), "current_price is"),
    ("deposit_deltas", _drop(1), "different assets"),
    ("reserve_deltas", _set("current_amount", _more), "current_amount is"),
    ("reserve_deltas", _set("previous_amount", _more), "previous_amount is"),
    ("reserve_deltas", _drop(2), "leaves out"),
    ("reconciliation", _set("deposits", _more), "expected is"),
    ("reconciliation", _set("opening", _more), "opening is"),
    ("reconciliation", _set("unexplained", 0, row=2), "unexplained is"),
    ("reconciliation", _set("interest", None), "flow is missing"),
    ("reconciliation", _set("rounding", _more), "rounding is"),
    ("reconciliation", _set("opening_rounding", Decimal("1.5")), "opening_rounding is"),
    ("reconciliation", _set("closing_rounding", Decimal("3.5")), "unexplained is"),
    ("reconciliation", _set("closing_rounding", Decimal("0.5"), row=1), "do not agree on whether balances were rounded up"),
    ("reconciliation", _set("closing_rounding", Decimal(-1)), "a rounding is negative"),
    ("reconciliation", _set("flows_rounding", Decimal(6)), "larger than rounding up can be"),
    ("coverage", _rename("rounded_up:BTC"), "do not agree on whether balances were rounded up"),
    ("prices", _set("price", _more), "current_price is"),
    ("prices", _set("currency", "EUR"), "not a price in USD"),
    ("coverage", _set("severity", "none"), "unknown severity"),
    ("coverage", lambda content: content.clear(), "nothing to check"),
]


@pytest.mark.parametrize(("name", "lie", "said"), LIES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_figure_that_does_not_follow_is_found_even_if_every_digest_was_made_to_fit(
    series: Path, name: str, lie: Callable[[list[dict[str, Any]]], None], said: str
) -> None:
    verified = forge(series, name, lie)
    assert verified.findings.held("files")
    assert verified.findings.held("log")
    assert verified.findings.exit_code is Exit.FAILED
    assert any(said in failure for failure in failures(verified)), failures(verified)


def test_that_nothing_was_read_at_other_times_is_no_failure(series: Path) -> None:
    assert forge(series, "reserve_stability", lambda content: content.clear()).findings.exit_code is Exit.HELD


def test_a_first_publication_that_claims_a_past_is_found(series: Path) -> None:
    verified = forge(series, "reserve_ratios", _set("previous_ratio_gross", 1), folder=FIRST)
    assert any("there is no publication before" in failure for failure in failures(verified))


def test_an_extra_or_missing_column_is_not_passed_over(series: Path) -> None:
    path = series / SECOND / "tables" / "prices.parquet"
    table = pq.read_table(path)
    pq.write_table(table.append_column("note", pa.array(["x"] * table.num_rows)), path)
    assert any("see note: string" in failure for failure in failures(reseal(series)))


def test_a_floating_point_amount_is_refused(series: Path) -> None:
    path = series / SECOND / "tables" / "prices.parquet"
    table = pq.read_table(path)
    price = table.schema.get_field_index("price")
    pq.write_table(table.set_column(price, "price", table.column("price").cast(pa.float64())), path)
    publication = series / SECOND
    verified = verify(publication)
    assert any("the type double has no canonical form" in failure for failure in failures(verified))


def test_a_text_that_is_not_utf8_is_a_failure_and_not_a_crash(series: Path) -> None:
    path = series / SECOND / "tables" / "prices.parquet"
    table = pq.read_table(path)
    texts = pa.array([b"\xff\xfe"] * table.num_rows, pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("source"), "source", texts), path)
    assert sum("cannot be read" in failure for failure in failures(verify(series / SECOND))) > 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values.pop("bitcoin"), "does not name bitcoin"),
        (lambda values: values["bitcoin"].update(family="mars"), "'mars'"),
        (lambda values: values["bitcoin"].pop("decimals"), "'decimals'"),
    ],
)
def test_facts_about_chains_that_are_not_whole_are_found(series: Path, change: Callable[[dict[str, Any]], None], said: str) -> None:
    path = series / SECOND / "evidence" / "chains.json"
    values = json.loads(path.read_bytes())
    change(values)
    path.write_bytes(rfc8785.dumps(values))
    assert any(said in failure for failure in failures(reseal(series)))


@pytest.mark.parametrize("path", ["../outside.txt", "/etc/hostname", "tables/../report.html", "a//b", "", "a\\b", "manifest.json"])
def test_a_manifest_that_reaches_out_of_the_folder_is_refused(series: Path, path: str) -> None:
    listing = series / SECOND / "manifest.json"
    values = json.loads(listing.read_bytes())
    values["files"] = sorted([*values["files"], {"path": path, "sha256": "0" * 64, "size": 0}], key=lambda item: item["path"].encode())
    listing.write_bytes(rfc8785.dumps(values))
    assert any("no path inside a publication" in failure for failure in failures(verify(series / SECOND)))


@pytest.mark.parametrize(
    "edit",
    [
        lambda values: values.update(note="x"),
        lambda values: values.pop("entity"),
        lambda values: values.update(revision=2),
        lambda values: values.update(revision="1"),
        lambda values: values.update(format="assay-manifest-v2"),
        lambda values: values.update(as_of="2023-02-17 16:00"),
        lambda values: values["files"].reverse(),
        lambda values: values["previous"].update(folder="../elsewhere"),
        lambda values: values.update(previous=None),
        lambda values: values.update(as_of="2023-02-18T16:00:00Z"),
        lambda values: values["sources"].pop(),
        lambda values: values["snapshot_blocks"][0].update(height=1),
    ],
)
def test_a_manifest_that_contradicts_itself_the_log_or_the_tables_is_refused(series: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    assert reseal(series, edit=edit).findings.exit_code is Exit.FAILED


def test_a_pretty_printed_manifest_is_refused(series: Path) -> None:
    path = series / SECOND / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
    assert any("canonical form" in failure for failure in failures(verify(series / SECOND)))


def test_a_missing_log_is_not_passed_over_unless_asked_for(series: Path) -> None:
    (series / "log.jsonl").unlink()
    missing = verify(series / SECOND)
    assert missing.findings.exit_code is Exit.INCOMPLETE
    accepted = verify(series / SECOND, without_log=True)
    assert accepted.findings.exit_code is Exit.HELD
    assert any("append-only log" in sentence and "--no-log" in sentence for sentence in accepted.not_proven)
    assert not any("log holds" in sentence for sentence in accepted.proven)


def test_a_missing_predecessor_is_not_passed_over_unless_asked_for(series: Path) -> None:
    shutil.rmtree(series / FIRST)
    assert verify(series / SECOND).findings.exit_code is Exit.INCOMPLETE
    assert verify(series / SECOND, without_previous=True).findings.exit_code is Exit.HELD


def test_a_predecessor_that_was_changed_is_found(series: Path) -> None:
    path = series / FIRST / "tables" / "wallet_balances.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert any("nothing can be compared with it" in failure for failure in failures(verify(series / SECOND)))


@pytest.mark.parametrize("change", ["empty", "first line only", "cut", "other series"])
def test_a_log_that_does_not_hold_the_publication_is_found(series: Path, change: str) -> None:
    path = series / "log.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes({"empty": b"", "first line only": lines[0], "cut": b"".join(lines)[:-1], "other series": lines[1]}[change])
    assert verify(series / SECOND).findings.exit_code is Exit.FAILED


def test_what_is_proven_is_only_said_when_it_was(series: Path) -> None:
    whole = verify(series / SECOND)
    assert len(whole.proven) == 5
    forged = forge(series, "reserve_ratios", _set("surplus", _more))
    assert not any("exact arithmetic" in sentence for sentence in forged.proven)
    assert forged.ratios == []


def test_what_is_never_proven_is_always_said(published: Path) -> None:
    said = " ".join(verify(published / SECOND).not_proven)
    for part in ("liabilities are complete", "node of your own", "no signature", "controls the wallets: none of the 30", "other moments"):
        assert part in said


def test_unexplained_differences_are_pointed_out(published: Path) -> None:
    assert "USDT: the ledger's flows leave 0.000001 unexplained." in verify(published / SECOND).notices


def test_the_coverage_table_is_passed_on_warnings_first(published: Path) -> None:
    severities = [item["severity"] for item in verify(published / SECOND).coverage]
    assert severities == ["warning"] * 5 + ["info"] * 3


def test_a_correction_holds_and_the_publication_it_replaces_says_that_it_was_corrected(tmp_path: Path) -> None:
    series = make_lake(tmp_path)
    inputs = make_inputs(tmp_path / "again", sample.SECOND, prices=sample.PRICES[sample.SECOND] | {"BTC": "24565.31"})
    staged = stage(tmp_path, inputs, sample.SECOND, revision=2, reason="A price was wrong.")
    correction = publish.publish(settings_for(inputs, tmp_path), staged, now=NOW).folder
    assert failures(verify(correction)) == []
    assert verify(correction).notices == ["USDT: the ledger's flows leave 0.000001 unexplained."]
    replaced = verify(series / SECOND)
    assert replaced.findings.exit_code is Exit.HELD
    assert "This publication was corrected since: 2023-02-17T160000Z.r2 takes its place." in replaced.notices
