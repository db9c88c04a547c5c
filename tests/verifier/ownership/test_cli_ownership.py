"""The command `ownership`: publications with their table, several processes, Ctrl-C. Signatures and processes are real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785

from assay_verify import manifest
from assay_verify.cli import main
from assay_verify.findings import Findings
from assay_verify.ownership import movement, wallets
from assay_verify.ownership.challenge import Challenge, build
from tests.verifier.ownership.list_maker import account, honest, sign, text

SOURCE = Path(__file__).parents[3] / "verifier" / "src"
AS_OF = datetime(2023, 2, 17, 16, tzinfo=UTC)
MOMENT = "2023-02-17T16:00:00Z"
TIME, TEXT, AMOUNT = pa.timestamp("us", tz="UTC"), pa.string(), pa.decimal128(38, 0)
OWNERSHIP = pa.schema([(name, TIME if kind.startswith("timestamp") else TEXT) for name, kind in wallets.COLUMNS.items()])
WALLETS = pa.schema(
    [
        *(("as_of", TIME), ("chain", TEXT), ("address", TEXT), ("asset", TEXT), ("decimals", pa.int32()), ("amount", AMOUNT)),
        *(("block_height", pa.int64()), ("block_hash", TEXT), ("block_time", TIME), ("sources_asked", pa.int32())),
        *(("sources_agreed", pa.int32()), ("custody", TEXT), ("encumbrance", TEXT), ("ownership_status", TEXT), ("evidence", TEXT)),
        *(("read_height", pa.int64()), ("read_time", TIME)),
    ]
)
CHAINS = {
    "mainnet": {
        "asset": "ETH",
        "chain_id": 1,
        "decimals": {"ETH": 18},
        "family": "evm",
        "genesis": "",
        "network": "",
        "past": "",
        "proofs": True,
        "sources": [{"kind": "jsonrpc", "name": "a"}],
        "tokens": {},
    }
}
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "assay-verify"


def challenge(number: int, **changes: Any) -> str:
    values = {"entity": "Sandbox", "series": "sandbox", "as_of": MOMENT, "chain": "mainnet", "address": account(number)}
    return build(Challenge(**{**values, "block_height": 90, "block_hash": "0xbb", **changes}))


def fresh(number: int, message: str = "") -> Row:
    message = message or challenge(number)
    return claim(number, status="fresh", scheme="eip191_hashed", message=message, signatures=sign(number, message), signed_at=AS_OF)


def static(number: int, message: str = "I am an OKX address") -> Row:
    return claim(number, status="static", scheme="eip191_hashed", message=message, signatures=sign(number, message))


def claim(number: int, **values: Any) -> Row:
    return {**dict.fromkeys(wallets.COLUMNS), "as_of": AS_OF, "chain": "mainnet", "address": account(number), "status": "none", **values}


def publish(folder: Path, rows: list[Row], statuses: dict[str, str] | None = None) -> Path:
    """Write what the command reads of a publication, as the publisher would."""
    folder = folder / "2023-02-17T160000Z"
    (folder / "tables").mkdir(parents=True)
    (folder / "evidence").mkdir()
    rows = sorted(rows, key=lambda row: (row["chain"], row["address"]))
    statuses = statuses if statuses is not None else {row["address"]: row["status"] for row in rows}
    balances = [
        {
            "as_of": AS_OF,
            "chain": "mainnet",
            "address": address,
            "asset": "ETH",
            "decimals": 18,
            "amount": Decimal(1),
            "block_height": 100,
            "block_hash": "0xaa",
            "block_time": AS_OF,
            "sources_asked": 1,
            "sources_agreed": 1,
            "custody": "cold",
            "encumbrance": "none",
            "ownership_status": status,
            "evidence": "0" * 64,
        }
        for address, status in sorted(statuses.items())
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=OWNERSHIP), folder / wallets.PATH)
    pq.write_table(pa.Table.from_pylist(balances, schema=WALLETS), folder / "tables" / "wallet_balances.parquet")
    (folder / "evidence" / "chains.json").write_bytes(rfc8785.dumps(CHAINS))
    files = []
    for name in ("evidence/chains.json", wallets.PATH, "tables/wallet_balances.parquet"):
        size, sha256 = manifest.measure(folder / name)
        rowed = {"rows": 1, "rows_sha256": "0" * 64} if name.startswith("tables/") else {}
        files.append({"path": name, "sha256": sha256, "size": size, **rowed})
    block = {"chain": "mainnet", "distance_seconds": 0, "finality": "finalized", "hash": "0xaa", "height": 100, "time": MOMENT}
    values = {
        "as_of": MOMENT,
        "code_version": "1",
        "configuration_sha256": "0" * 64,
        "entity": "Sandbox",
        "files": files,
        "format": manifest.FORMAT,
        "liability_commitment": "0" * 64,
        "previous": None,
        "replaces": None,
        "revision": 1,
        "series": "sandbox",
        "snapshot_blocks": [block],
        "sources": [],
    }
    (folder / "manifest.json").write_bytes(rfc8785.dumps(values))
    return folder


def run(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = main(["ownership", str(path), "--json", *options])
    captured = capsys.readouterr()
    return code, json.loads(captured.out or "{}") or {"said": captured.err}


def test_a_publication_with_fresh_static_and_no_proofs_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = publish(tmp_path, [fresh(1), static(2), claim(3)])
    code, document = run(folder, capsys)
    assert code == 0, document
    assert document["ages"] == {"fresh": 1, "static": 1}
    assert document["outcomes"]["none"] == 1
    assert document["reports"] == [{"report": ["Sandbox", "sandbox", MOMENT], "rows": 1}]
    assert "Anything about 1 wallets: no proof is claimed for them." in document["not_proven"]


def test_a_table_alone_is_checked_without_what_the_publication_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = fresh(1, challenge(1, chain="ethereum")) | {"chain": "ethereum"}
    folder = publish(tmp_path, [row])
    code, document = run(folder / wallets.PATH, capsys)
    assert (code, document["ages"]["fresh"]) == (0, 1)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (fresh(1, challenge(1, entity="Another")), "signed for the report Another"),
        (fresh(1, challenge(1, series="other")), "signed for the report Sandbox, other"),
        (fresh(1, challenge(1, as_of="2023-01-18T16:00:00Z")), "2023-01-18T16:00:00Z"),
        (fresh(1, challenge(1, chain="ethereum")), "on ethereum"),
        (fresh(1, challenge(1, address=account(2))), account(2)),
        (fresh(1, challenge(1, block_height=100)), "another block 100"),
        (fresh(1, "I am an OKX address"), "a challenge is the line"),
        (static(1, challenge(1, address=account(2))), account(2)),
        (fresh(1) | {"signatures": sign(1)}, "the address is another"),
        (fresh(1) | {"signatures": sign(2, challenge(1))}, "the address is another"),
        (fresh(1) | {"scheme": "eip191"}, "it verifies as eip191_hashed, and the table names eip191"),
    ],
)
def test_a_statement_that_is_not_for_this_report_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Row, said: str) -> None:
    code, document = run(publish(tmp_path, [row, static(3)]), capsys)
    assert (code, document["outcomes"]["failed"], document["outcomes"]["verified"]) == (1, 1, 1)
    assert said in document["failures"][0]["reason"]


@pytest.mark.parametrize(
    "row",
    [
        claim(1, message="text"),
        claim(1, verified_at_block="0xaa"),
        claim(1, status="failed"),
        fresh(1) | {"message": None},
        fresh(1) | {"signatures": None},
        fresh(1) | {"scheme": None},
        fresh(1) | {"signed_at": None},
        fresh(1) | {"scheme": "movement"},
    ],
)
def test_a_row_that_claims_half_a_proof_is_malformed(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Row) -> None:
    code, document = run(publish(tmp_path, [row, static(3)]), capsys)
    assert (code, document["outcomes"]["malformed"]) == (1, 1)


def announced(number: int, **changes: str) -> Row:
    chain = movement.coin_of("evm", "", "ETH")
    asked = Challenge(
        **{"entity": "Sandbox", "series": "sandbox", "as_of": MOMENT, "chain": "mainnet", "address": account(number), **changes},  # type: ignore[arg-type]
        block_height=90,
        block_hash="0xbb",
    )
    return claim(number, status="movement", scheme="movement", message=movement.announce(chain, asked), signatures="0x" + "ab" * 32)


def test_a_movement_in_a_table_alone_is_not_taken_for_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = publish(tmp_path, [announced(1), static(3)])
    code, document = run(folder / wallets.PATH, capsys)
    assert (code, document["outcomes"]["movement"]) == (3, 1)
    assert any("1 wallets by movement: their evidence is part of a publication" in said for said in document["not_proven"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (announced(1), "block is not in the evidence"),
        (announced(1, entity="Another"), "signed for the report Another"),
        (announced(1, address=account(2)), account(2)),
        (announced(1) | {"message": "1.2345 at 16:00"}, "an announcement begins with the line"),
        (announced(1) | {"message": challenge(1)}, "an announcement begins with the line"),
    ],
)
def test_a_movement_that_the_evidence_does_not_show_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Row, said: str) -> None:
    code, document = run(publish(tmp_path, [row, static(3)]), capsys)
    assert (code, document["outcomes"]["failed"], document["outcomes"]["verified"]) == (1, 1, 1)
    assert said in document["failures"][0]["reason"]


@pytest.mark.parametrize("extra", [{"script": "00"}, {"owners": account(2)}, {"verified_at_block": "0xaa"}, {"signatures": "0x1\n0x2"}])
def test_a_movement_with_more_than_a_transaction_is_malformed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: dict[str, str]
) -> None:
    code, document = run(publish(tmp_path, [announced(1) | extra, static(3)]), capsys)
    assert (code, document["outcomes"]["malformed"]) == (1, 1)


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ({account(1): "none"}, "is called none, and address_ownership says static"),
        ({account(1): "static", account(2): "none"}, "is called none, and address_ownership says nothing"),
        ({}, "holds no balance of this publication"),
    ],
)
def test_every_wallet_has_one_row_with_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], statuses: dict[str, str], said: str
) -> None:
    folder = publish(tmp_path, [static(1)], statuses)
    code, document = run(folder, capsys)
    assert code == 1
    assert said in " ".join(next(check for check in document["checks"] if check["name"] == "tables.ownership")["failures"])


def test_a_wallet_that_is_there_twice_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(publish(tmp_path, [static(1), static(1)]), capsys)
    assert code == 1
    assert {check["name"] for check in document["checks"] if check["failures"]} == {"tables.ownership", "ownership.duplicates"}


@pytest.mark.parametrize("name", [wallets.PATH, "evidence/chains.json"])
def test_a_file_that_the_manifest_does_not_list_so_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    folder = publish(tmp_path, [static(1)])
    values = json.loads((folder / "manifest.json").read_bytes())
    next(item for item in values["files"] if item["path"] == name)["sha256"] = "0" * 64
    (folder / "manifest.json").write_bytes(rfc8785.dumps(values))
    code, document = run(folder, capsys)
    assert code == 1
    assert name in next(check for check in document["checks"] if check["name"] == "ownership.listed")["failures"][0]


def test_a_publication_without_the_table_says_nothing_about_it(tmp_path: Path) -> None:
    folder = publish(tmp_path, [static(1)])
    known = manifest.read(folder)
    (folder / wallets.PATH).unlink()
    known.values["files"] = [item for item in known.values["files"] if item["path"] != wallets.PATH]
    findings = Findings()
    wallets.check_wallets(findings, folder, known)
    assert findings.checks == []
    assert main(["ownership", str(folder)]) == 2


def other_columns(table: pa.Table) -> pa.Table:
    return table.drop_columns(["note"])


def empty_text(table: pa.Table) -> pa.Table:
    return table.set_column(11, "note", pa.array([""] * len(table)))


def no_status(table: pa.Table) -> pa.Table:
    return table.set_column(4, "status", pa.array([None] * len(table), TEXT))


@pytest.mark.parametrize(("change", "code"), [(other_columns, 2), (empty_text, 1), (no_status, 1)])
def test_a_table_that_is_not_as_its_format_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[pa.Table], pa.Table], code: int
) -> None:
    path = tmp_path / "address_ownership.parquet"
    pq.write_table(change(pa.Table.from_pylist([static(1)], schema=OWNERSHIP)), path)
    assert run(path, capsys)[0] == code


@pytest.mark.parametrize("name", ["nowhere.csv", "empty", "no.parquet"])
def test_what_cannot_be_read_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.parquet").write_text("text")
    code, document = run(tmp_path / name, capsys)
    assert code == 2
    assert "assay-verify: " in document["said"]


def start(path: Path, *options: str, **settings: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "assay_verify", "ownership", str(path), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(SOURCE)}, **{**pipes, **settings})


def test_several_processes_say_what_one_says(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(honest(2_500).replace("I am an", "I am the", 3))
    documents = []
    for processes in ("1", "2"):
        said, complaint = start(path, "--json", "--processes", processes).communicate(timeout=120)
        assert complaint == ""
        documents.append(json.loads(said))
    assert documents[0] == documents[1]
    assert documents[0]["outcomes"]["verified"] == 2_497


def endless(tmp_path: Path) -> Path:
    """A list that takes long enough to be stopped."""
    path, signature = tmp_path / "list.csv", sign(1)
    path.write_text(honest(1) + "".join(f"ETH,ETH,1,0x{number:040x},0,text,{signature},,,,\n" for number in range(60_000)))
    return path


def wait_for(held: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not held():
        assert time.monotonic() < until
        time.sleep(0.02)


def has_begun(state: Path) -> bool:
    return any(one.stat().st_size > 5_000 for one in state.glob("*.jsonl"))


def test_ctrl_c_ends_all_processes_without_a_traceback_and_keeps_what_was_done(tmp_path: Path, state: Path) -> None:
    process = start(endless(tmp_path), "--processes", "2", start_new_session=True)
    wait_for(lambda: has_begun(state))
    # As a terminal does: every process of the group gets it.
    os.killpg(process.pid, signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert (process.returncode, said, complaint) == (130, "", "assay-verify: stopped; go on with --resume\n")
    wait_for(lambda: not group(process.pid))
    assert has_begun(state)


def test_the_others_end_when_the_first_process_is_killed(tmp_path: Path, state: Path) -> None:
    process = start(endless(tmp_path), "--processes", "2", start_new_session=True)
    wait_for(lambda: has_begun(state))
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not group(process.pid))


def group(leader: int) -> list[int]:
    """Return the processes of a group that are not dead."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_the_processes_load_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text([], totals=[]))
    program = "import sys, assay_verify.cli, assay_verify.ownership.verification; print('pyarrow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
