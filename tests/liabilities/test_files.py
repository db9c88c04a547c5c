"""Against drops on a local disk, and on a real S3-compatible server (moto) that asks for keys."""

from __future__ import annotations

import dataclasses
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from assay.config import Settings
from assay.errors import AmountError, ConfigError, LedgerError, SourceBehindError, SourceUnavailableError
from assay.liabilities import drop as drops
from assay.liabilities.interface import BALANCE_COLUMNS, RawSnapshot
from assay.liabilities.snapshot import canonicalise, extract, liability_files
from sandbox.processes import free_port
from sandbox.scenario import FIRST, SECOND

from .conftest import with_ledger
from .drops import BALANCES, FLOW, FLOWS, SLUG, TOTALS, balances, csv_bytes, drop, parquet_bytes, totals

SECRET = b"s" * 32
Run = Callable[..., RawSnapshot]


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (folder / SLUG / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / SLUG / path).write_bytes(data)


@pytest.fixture
def local(settings: Settings) -> Settings:
    """Settings that read drops of a folder beside the configuration."""
    return with_ledger(settings, kind="files", folder="drops")


@pytest.fixture
def run(local: Settings, tmp_path: Path) -> Run:
    """Extract a drop of these files."""

    def extracted(files: Mapping[str, bytes], previous: Any = None) -> RawSnapshot:
        put(local.path.parent / "drops", files)
        return extract(local, SECOND, previous, "", tmp_path / "raw")

    return extracted


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in pq.read_table(path).to_pylist())


def test_csv_and_parquet_become_the_same_rows_of_text(run: Run, local: Settings, tmp_path: Path) -> None:
    raw = run(drop(), FIRST)
    assert rows_of(raw.balances) == sorted(BALANCES)
    assert rows_of(raw.flows) == [("BTC", "deposit", "1.75000000", "2"), ("BTC", "fee", "-0.00000001", "1")]
    done = canonicalise(local, raw, SECRET, tmp_path / "snapshot")
    assert sorted(int(row["amount"]) for path in liability_files(tmp_path / "snapshot") for row in pq.read_table(path).to_pylist()) == [
        -25_000_000,
        1,
        150_000_000,
    ]
    assert pq.read_table(done.control_totals).num_rows == len(TOTALS)


def test_the_columns_of_a_csv_may_stand_in_any_order(run: Run) -> None:
    data = csv_bytes(BALANCE_COLUMNS[::-1], [row[::-1] for row in BALANCES])
    assert rows_of(run(drop({"balances/a.csv": (3, data)}, flows_from=None)).balances) == sorted(BALANCES)


def test_decimals_and_integers_of_parquet_keep_every_digit(run: Run) -> None:
    largest = "9" * 30 + "." + "9" * 8
    types = {"user_id": pa.int64(), "amount": pa.decimal128(38, 8)}
    decimal = parquet_bytes(BALANCE_COLUMNS, [(2**62, "spot", "BTC", Decimal(largest)), (7, "spot", "BTC", Decimal(-1))], types)
    integer = parquet_bytes(BALANCE_COLUMNS, [("U3", "spot", "BTC", 2**53 + 1)], {"amount": pa.int64()})
    raw = run(drop({"balances/a.parquet": (2, decimal), "balances/b.parquet": (1, integer)}, flows_from=None))
    assert [row[0:1] + row[3:] for row in rows_of(raw.balances)] == [
        ("4611686018427387904", largest),
        ("7", "-1.00000000"),
        ("U3", "9007199254740993"),
    ]


def test_a_text_of_a_csv_is_not_guessed_at(run: Run) -> None:
    rows = [("007", "spot", "BTC", "1e5"), ("1", "spot", "BTC", " 1"), ("true", 'sp,"ot', "BTC", "NaN"), ("2023-01-01", "spot", "BTC", "")]
    assert rows_of(run(balances(rows)).balances) == sorted([*rows[:3], (*rows[3][:3], None)], key=str)


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("NaN", "'NaN' is not a plain decimal number"),
        ("1e5", "'1e5' is not a plain decimal number"),
        (" 1", "is not a plain decimal number"),
        ("+1", "is not a plain decimal number"),
        ("1,5", "is not a plain decimal number"),
        ("0x10", "is not a plain decimal number"),
        ("9" * 39, "digits and at most 38"),
        ("", "amount is null"),
        ("0.000000001", "finer than one base unit"),
    ],
)
@pytest.mark.parametrize("path", ["balances/a.csv", "balances/a.parquet"])
def test_what_is_no_exact_amount_is_refused(run: Run, local: Settings, tmp_path: Path, path: str, amount: str, said: str) -> None:
    given = None if amount == "" and path.endswith("parquet") else amount
    raw = run(balances([*BALANCES, ("U9", "spot", "BTC", given)], path))
    with pytest.raises(AmountError, match=said) as caught:
        canonicalise(local, raw, SECRET, tmp_path / "snapshot")
    assert "user U9, spot, BTC" in caught.value.subject


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("amount", pa.float64(), 1.5),
        ("amount", pa.float32(), 1.5),
        ("amount", pa.decimal256(50, 8), Decimal("1.5")),
        ("amount", pa.bool_(), True),
        ("user_id", pa.float64(), 1.0),
        ("user_id", pa.binary(), b"U1"),
    ],
)
def test_a_column_of_an_inexact_type_is_refused(run: Run, column: str, kind: pa.DataType, value: object) -> None:
    row = dict(zip(BALANCE_COLUMNS, BALANCES[0], strict=True)) | {column: value}
    data = parquet_bytes(BALANCE_COLUMNS, [tuple(row.values())], {column: kind})
    with pytest.raises(LedgerError, match=f"its column {column} is of type"):
        run(drop({"balances/a.parquet": (1, data)}, flows_from=None))


def test_the_same_user_in_two_files_is_found(run: Run, local: Settings, tmp_path: Path) -> None:
    files = {f"balances/{name}.csv": (1, csv_bytes(BALANCE_COLUMNS, BALANCES[:1])) for name in "ab"}
    raw = run(drop(files, totals=totals([("spot", "BTC", 2, 2, "3")]), flows_from=None))
    with pytest.raises(LedgerError, match="user U1, spot, BTC: the row is there 2 times"):
        canonicalise(local, raw, SECRET, tmp_path / "snapshot")


def test_a_user_whom_the_files_lack_is_found_by_the_totals(run: Run, local: Settings, tmp_path: Path) -> None:
    raw = run(balances(BALANCES[:2]))
    with pytest.raises(LedgerError, match="spot, BTC: the snapshot has 1 rows and the control total says 2: 1 missing"):
        canonicalise(local, raw, SECRET, tmp_path / "snapshot")


def test_one_user_is_enough_and_none_is_not(run: Run, local: Settings, tmp_path: Path) -> None:
    raw = run(balances(BALANCES[:1], totals=totals([("spot", "BTC", 1, 1, "1.5")])))
    canonicalise(local, raw, SECRET, tmp_path / "one")
    assert [pq.read_metadata(path).num_rows for path in liability_files(tmp_path / "one")] == [1]
    raw = run(balances([], totals=[]))
    with pytest.raises(LedgerError, match="there is no balance"):
        canonicalise(local, raw, SECRET, tmp_path / "none")


@pytest.mark.parametrize("other", ["2023-01-18T160000Z/control.json", f"{SLUG}/balances/a.csv"])
def test_a_drop_that_is_not_there_yet_is_waited_for_where_the_ledger_writes_drops(
    local: Settings, tmp_path: Path, run: Run, other: str
) -> None:
    path = local.path.parent / "drops" / other
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(SourceBehindError, match=r"control\.json is not there"):
        run({})


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (None, "there is no folder /.*/drops"),
        ("a file", "there is no folder /.*/drops"),
        ("empty", "drops holds no drop of any moment"),
        ("deeper", "drops holds no drop of any moment"),
    ],
)
def test_a_place_where_no_ledger_writes_drops_is_refused_at_once(
    local: Settings, tmp_path: Path, run: Run, place: str | None, said: str
) -> None:
    folder = local.path.parent / "drops"
    if place == "a file":
        folder.touch()
    elif place:
        (folder / "closings" / SLUG if place == "deeper" else folder).mkdir(parents=True)
    with pytest.raises(ConfigError, match=said) as caught:
        run({})
    assert caught.value.subject == f"{local.path}, ledger.folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_refused_at_once(local: Settings, tmp_path: Path, run: Run) -> None:
    folder = local.path.parent / "drops"
    folder.mkdir(mode=0)
    try:
        with pytest.raises(LedgerError, match="may not be read"):
            run({})
    finally:
        folder.chmod(0o700)


MORE = csv_bytes(BALANCE_COLUMNS, BALANCES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"balances/b.parquet": None}, "b.parquet: it is missing, and control.json names it"),
        ({"balances/c.csv": MORE}, "balances/c.csv: control.json does not name it"),
        ({"balances/deep/a.csv": MORE}, "balances/deep/a.csv: control.json does not name it"),
        ({"balances/a.csv": MORE}, "balances/a.csv: its content is not the one that control.json names"),
        ({"balances/a.csv": b""}, "balances/a.csv: its content is not the one"),
    ],
)
def test_a_file_that_is_missing_doubled_or_changed_is_named(run: Run, change: dict[str, bytes | None], said: str) -> None:
    files: dict[str, bytes | None] = {**drop(), **change}
    with pytest.raises(LedgerError, match=said):
        run({path: data for path, data in files.items() if data is not None})


def test_marks_of_the_programs_that_wrote_it_are_no_files_of_the_drop(run: Run) -> None:
    assert len(run({**drop(), "balances/_SUCCESS": b"", "balances/.a.csv.crc": b"x"}).balance_files()) == 2


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ({"format": "assay-ledger-drop-v2"}, "not an object of the format"),
        ({"more": 1}, "not an object of the format"),
        ({"as_of": "2023-02-17T16:00:01Z"}, "it is of '2023-02-17T16:00:01Z'"),
        ({"files": [{"path": "balances/a.csv", "rows": "1", "sha256": "0" * 64}]}, "not a list of objects of the format"),
        ({"files": [{"path": "balances/a.csv", "rows": True, "sha256": "0" * 64}]}, "not a list of objects of the format"),
        ({"files": [{"path": "balances/a.csv", "rows": -1, "sha256": "0" * 64}]}, "another name, rows or hash"),
        ({"files": [{"path": "balances/../../a.csv", "rows": 1, "sha256": "0" * 64}]}, "another name, rows or hash"),
        ({"files": [{"path": "/etc/passwd", "rows": 1, "sha256": "0" * 64}]}, "another name, rows or hash"),
        ({"files": [{"path": "balances/a.orc", "rows": 1, "sha256": "0" * 64}]}, "another name, rows or hash"),
        ({"files": [{"path": "balances/a.csv", "rows": 1, "sha256": "0" * 64}] * 2}, "names balances/a.csv twice"),
        (
            {"totals": [{"account_type": "spot", "asset": "BTC", "row_count": 2, "user_count": 2, "total_amount": 1}]},
            "not a list of objects",
        ),
        ({"totals": {}}, "not a list of objects"),
        ({"flows_from": 5}, "neither a moment nor null"),
    ],
)
def test_a_control_file_of_another_form_is_refused(run: Run, control: dict[str, Any], said: str) -> None:
    with pytest.raises(LedgerError, match=said):
        run(drop(**control))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"as_of": 1, "as_of": 2}', "a key is there twice"),
        (b'{"rows": NaN}', "the number NaN is not an integer"),
        (b'{"rows": 1e400}', "the number 1e400 is not an integer"),
        (b"\xff", "it is not JSON"),
    ],
)
def test_a_control_file_that_is_no_json_is_refused(run: Run, content: bytes, said: str) -> None:
    with pytest.raises(LedgerError, match=said):
        run({**drop(), "control.json": content})


def test_an_endless_control_file_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drops, "_MAX_CONTROL", 100)
    with pytest.raises(LedgerError, match="more than 100 bytes"):
        run(drop())


@pytest.mark.parametrize(
    ("path", "rows", "data", "said"),
    [
        ("balances/a.csv", 2, MORE, "it has 3 rows and control.json says 2"),
        ("balances/a.csv", 3, MORE.replace(b"asset", b"coin", 1), "its columns are user_id, account_type, coin, amount, and must be"),
        ("balances/a.csv", 3, MORE.replace(b"user_id", b"user_id,asset", 1), "its columns are|cannot be read"),
        ("balances/a.csv", 3, b"\xef\xbb\xbf" + MORE, "its columns are \ufeffuser_id"),
        ("balances/a.csv", 3, b"\xff\xfe" + MORE, "its first line cannot be read"),
        ("balances/a.csv", 0, b"", "its columns are none"),
        ("balances/a.csv", 3, MORE.replace(b"U2,spot", b"U2,spot,more"), "cannot be read"),
        ("balances/a.csv", 3, MORE.replace(b"U2,spot,", b"U2,"), "cannot be read"),
        ("balances/a.csv", 3, MORE.replace(b"U2", b"U\xff"), "cannot be read"),
        ("balances/a.csv", 3, MORE.replace(b"U2", b'"U2'), "cannot be read|it has 2 rows"),
        ("balances/a.csv.gz", 3, MORE, "cannot be read"),
        ("balances/a.parquet", 3, MORE, "cannot be read"),
        ("balances/a.parquet", 3, parquet_bytes(BALANCE_COLUMNS, BALANCES)[:-9], "cannot be read"),
    ],
)
def test_a_file_of_another_form_is_refused(run: Run, path: str, rows: int, data: bytes, said: str) -> None:
    with pytest.raises(LedgerError, match=said) as caught:
        run(drop({path: (rows, data)}, flows_from=None))
    assert caught.value.subject.endswith(path)


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("balances/a.csv", MORE.replace(b"U2,spot", b"U2,SECRET,more"), "Line: 4 Expected Number of Columns: 4 Found: 5"),
        ("balances/a.csv", MORE.replace(b"U2,spot,", b"SECRET,"), "Line: 4 Expected Number of Columns: 4 Found: 3"),
        ("balances/a.csv", MORE + 999 * MORE[-24:] + b"SECRET\xff,spot,BTC,0.00000001\r\n", "Line: [0-9]+ Invalid unicode"),
        ("balances/a.csv", MORE.replace(b"U2", b'"SECRET'), "Line: 4 Value with unterminated quote found"),
        ("balances/a.csv", MORE.replace(b"U2", b"SECRET" * 500_000), "Line: 4"),
        (
            "balances/a.parquet",
            parquet_bytes(BALANCE_COLUMNS, [("SECRETS", "spot", "BTC", "1")]).replace(b"SECRETS", b"SECRET\xff"),
            "not valid UTF8",
        ),
    ],
)
def test_what_is_said_of_a_broken_file_quotes_none_of_it(run: Run, path: str, data: bytes, said: str) -> None:
    with pytest.raises(LedgerError, match=said) as caught:
        run(drop({path: (3, data)}, flows_from=None))
    assert "SECRET" not in str(caught.value)
    assert "0.00000001" not in str(caught.value)


@pytest.mark.parametrize(
    "names", [("flows-00000.parquet", "a.parquet"), ("a.parquet", "flows-00000.parquet"), ("a/b.parquet", "b.parquet")]
)
def test_a_file_may_have_any_name_that_the_format_allows(run: Run, names: tuple[str, str]) -> None:
    files = {
        "balances/00000.parquet": (3, parquet_bytes(BALANCE_COLUMNS, BALANCES)),
        **{f"flows/{name}": (2, parquet_bytes(FLOW, FLOWS[first : first + 2])) for name, first in zip(names, (1, 3), strict=True)},
    }
    raw = run(drop(files), FIRST)
    assert rows_of(raw.balances) == sorted(BALANCES)
    assert rows_of(raw.flows) == [("BTC", "deposit", "1.75000000", "2"), ("BTC", "fee", "-0.00000001", "1")]


def test_a_control_file_of_many_files_is_read_in_no_time(run: Run) -> None:
    files = [{"path": f"balances/{number}.csv", "rows": 0, "sha256": "0" * 64} for number in range(50_000)]
    start = time.process_time()
    with pytest.raises(LedgerError, match="it is missing, and control"):
        run(drop({}, files=files))
    assert time.process_time() - start < 10


FETCH = drops.Drop.fetch


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("control.json", r"control\.json was changed while"),
        ("balances/z.csv", r"control\.json does not name it"),
        ("balances/b.parquet", "its content is not"),
    ],
)
def test_a_drop_that_changes_while_it_is_read_is_refused(
    run: Run, local: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, said: str
) -> None:
    def fetch_and_change(self: drops.Drop, item: drops.DropFile, folder: Path) -> Path:
        found = FETCH(self, item, folder)
        changed = local.path.parent / "drops" / SLUG / path
        changed.write_bytes((changed.read_bytes() if changed.exists() else b"") + b" ")
        return found

    monkeypatch.setattr(drops.Drop, "fetch", fetch_and_change)
    with pytest.raises(LedgerError, match=said):
        run(drop())
    assert not (tmp_path / "raw" / "origin.json").exists()


def test_flows_that_begin_too_late_are_refused(run: Run) -> None:
    with pytest.raises(LedgerError, match="its flows begin at 2023-02-01T00:00:00Z, and the previous report is of 2023-01-18T16:00:00Z"):
        run(drop(flows_from="2023-02-01T00:00:00Z"), FIRST)
    with pytest.raises(LedgerError, match="it has no flows"):
        run(drop(flows_from=None), FIRST)


def test_a_first_report_reads_no_flows(run: Run) -> None:
    assert pq.read_table(run(drop({"flows/a.csv": (9, b"broken")}, flows_from=None)).flows).num_rows == 0


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"kind": "airdrop"}, LedgerError, "kind 'airdrop' is unknown"),
        ({"asset": "DOGE"}, LedgerError, "asset 'DOGE' is unknown"),
        ({"account_type": "escrow"}, LedgerError, "account type 'escrow' is unknown"),
        ({"amount": "NaN"}, AmountError, "'NaN' is not a plain decimal number"),
        ({"amount": "1e-3"}, AmountError, "'1e-3' is not a plain decimal number"),
        ({"amount": "0.000000001"}, AmountError, "finer than one base unit"),
        ({"amount": "9" * 31}, AmountError, "39 digits"),
        ({"amount": ""}, LedgerError, "amount is empty"),
        ({"user_id": ""}, LedgerError, "user_id is empty"),
        ({"flow_id": ""}, LedgerError, "flow_id is empty"),
        ({"flow_id": "F2", "user_id": "U2"}, LedgerError, "the flow is there 2 times"),
        ({"occurred_at": "2023-02-01 00:00:00"}, LedgerError, "is not a UTC instant"),
        ({"occurred_at": "2023-02-01T00:00:00+01:00"}, LedgerError, "is not a UTC instant"),
        ({"occurred_at": ""}, LedgerError, "is not a UTC instant"),
        ({"occurred_at": "2023-02-30T00:00:00Z"}, LedgerError, "is not a UTC instant"),
    ],
)
def test_a_bad_flow_is_named_before_anything_is_added_up(run: Run, change: dict[str, str], error: type[Exception], said: str) -> None:
    row = dict(zip(FLOW, FLOWS[1], strict=True)) | {"flow_id": "F9"} | change
    data = csv_bytes(FLOW, [*FLOWS, tuple(row.values())])
    with pytest.raises(error, match=said) as caught:
        run(drop({"flows/a.csv": (6, data)}), FIRST)
    assert "assay_flows, flow" in str(caught.value)


def test_a_sum_of_flows_above_38_digits_is_refused(run: Run) -> None:
    rows = [("2023-02-01T00:00:00Z", f"F{number}", "U1", "spot", "BTC", "deposit", "9" * 30) for number in range(3)]
    with pytest.raises(AmountError, match="more than 38 digits"):
        run(drop({"flows/a.csv": (3, csv_bytes(FLOW, rows))}), FIRST)


def test_a_missing_folder_in_the_configuration_is_named(local: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ledger\.folder is missing"):
        extract(with_ledger(local, folder=""), SECOND, None, "", tmp_path)


KEYS = ("AKIAEXAMPLE", "very/secret+key")


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """A real S3-compatible server on loopback."""
    port = free_port()
    running = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    running.start()
    yield port
    running.stop()


@pytest.fixture
def bucket(server: int) -> Iterator[Any]:
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{server}", region_name="us-east-1", aws_access_key_id="owner", aws_secret_access_key="owner"
    )
    client.create_bucket(Bucket="ledger")
    for path, data in drop().items():
        client.put_object(Bucket="ledger", Key=f"closings/{SLUG}/{path}", Body=data)
    yield client
    for item in client.list_objects_v2(Bucket="ledger")["Contents"]:
        client.delete_object(Bucket="ledger", Key=item["Key"])
    client.delete_bucket(Bucket="ledger")


@pytest.fixture
def stored(settings: Settings) -> Settings:
    return with_ledger(settings, kind="files", folder="s3://ledger/closings")


def address(port: int) -> str:
    return f"http://{KEYS[0]}:very%2Fsecret%2Bkey@127.0.0.1:{port}"


def test_a_drop_in_storage_is_read_like_one_on_disk(bucket: Any, server: int, stored: Settings, run: Run, tmp_path: Path) -> None:
    remote = extract(stored, SECOND, FIRST, address(server), tmp_path / "remote")
    disk = run(drop(), FIRST)
    for name in ("balances", "control_totals", "flows"):
        assert rows_of(getattr(remote, name)) == rows_of(getattr(disk, name))
    assert not [text for text in (*KEYS, address(server)) if text in remote.origin.read_text()]


def test_an_object_that_is_replaced_under_the_read_is_refused(
    bucket: Any, server: int, stored: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fetch_and_change(self: drops.Drop, item: drops.DropFile, folder: Path) -> Path:
        bucket.put_object(Bucket="ledger", Key=f"closings/{SLUG}/balances/b.parquet", Body=parquet_bytes(BALANCE_COLUMNS, BALANCES[:1]))
        return FETCH(self, item, folder)

    monkeypatch.setattr(drops.Drop, "fetch", fetch_and_change)
    with pytest.raises(LedgerError, match=r"balances/b\.parquet: its content is not the one"):
        extract(stored, SECOND, None, address(server), tmp_path)


def test_a_drop_that_is_not_in_storage_yet_is_waited_for(bucket: Any, server: int, stored: Settings, tmp_path: Path) -> None:
    bucket.delete_object(Bucket="ledger", Key=f"closings/{SLUG}/control.json")
    with pytest.raises(SourceBehindError, match=r"control\.json is not there"):
        extract(stored, SECOND, None, address(server), tmp_path)


def hides(error: BaseException) -> bool:
    shown = "".join(traceback.format_exception(error)) + repr(error)
    return not [text for text in (*KEYS, "very%2Fsecret", "127.0.0.1") if text in shown]


def test_a_storage_that_does_not_answer_may_be_asked_again_and_no_error_shows_a_key(stored: Settings, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError) as caught:
        extract(stored, SECOND, None, address(free_port()), tmp_path)
    assert caught.type is SourceUnavailableError
    assert hides(caught.value)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("s3://another/closings", "there is no bucket 'another'"),
        ("s3://ledger/closing", "s3://ledger/closing holds no drop of any moment"),
    ],
)
def test_a_mistyped_bucket_or_prefix_is_refused_at_once(
    bucket: Any, server: int, stored: Settings, tmp_path: Path, folder: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        extract(with_ledger(stored, folder=folder), SECOND, None, address(server), tmp_path)
    assert hides(caught.value)


def test_keys_that_may_not_read_the_storage_are_refused_at_once(bucket: Any, server: int, stored: Settings, tmp_path: Path) -> None:
    """The server asks for rights after so many requests; it never heard of these keys."""
    url = f"http://127.0.0.1:{server}/moto-api/reset-auth"
    httpx.post(url, content="0", timeout=10).raise_for_status()
    try:
        with pytest.raises(LedgerError, match=r"the storage refuses to let it be read .*s3:ListBucket") as caught:
            extract(stored, SECOND, None, address(server), tmp_path)
    finally:
        httpx.post(url, content="inf", timeout=10).raise_for_status()
    assert hides(caught.value)


def test_a_storage_that_breaks_off_leaves_nothing(
    bucket: Any, server: int, stored: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(self: drops.Drop, item: drops.DropFile, folder: Path) -> Path:
        running = FETCH(self, item, folder)
        moved = dataclasses.replace(self, folder=f"{self.folder}/gone")
        bucket.delete_object(Bucket="ledger", Key=f"closings/{SLUG}/{item.path}")
        return FETCH(moved, item, running.parent)

    monkeypatch.setattr(drops.Drop, "fetch", break_off)
    with pytest.raises(SourceUnavailableError):
        extract(stored, SECOND, None, address(server), tmp_path / "raw")
    assert list((tmp_path / "raw").rglob("*.*")) == []


def test_the_control_file_of_the_tests_is_the_documented_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats" / "ledger_sources.md").read_text()
    example = json.loads(page.partition("```json")[2].partition("```")[0])
    assert example.keys() == json.loads(drop()["control.json"]).keys()
    assert drops._parsed(json.dumps(example).encode(), SECOND, "example")["files"]
