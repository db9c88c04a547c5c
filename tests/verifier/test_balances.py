"""The command `assay-verify balances`: what it needs, what it says, how it ends; and archives that are damaged."""

from __future__ import annotations

import copy
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rfc8785

from assay_verify import balances, facts
from assay_verify.cli import main
from assay_verify.findings import Exit, MalformedError
from tests.publication.sample import SCHEMAS
from tests.verifier.evidence_maker import MEMBERS, Publication, canonical, seal, write_archive, write_table
from tests.verifier.test_balances_evm import counts, failures

TIME = datetime(2023, 2, 17, 15, 59, tzinfo=UTC)
ARCHIVE = "ripple/ripple_a/balances-00000.jsonl.zst"


@pytest.fixture
def made() -> Publication:
    """A chain of a family without proofs: five balances that rest on two answers, one of them read live."""
    made = Publication()
    made.chain("ripple", height=77, block_hash="AB" * 32, time=TIME, family="ripple", asset="XRP", decimals={"XRP": 6})
    places = [made.add(ARCHIVE, "account_info", [number], {"Balance": str(number)}) for number in range(2)]
    for number in range(5):
        made.balance("ripple", f"r{number}", "XRP", 1_500_000 * number, places[number % 2])
    made.rows[4].update(read_height=80, read_time=TIME + timedelta(seconds=90))
    return made


def test_archived_balances_are_called_not_proven_in_so_many_words(
    made: Publication, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["balances", str(made.write(tmp_path))]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "XRP proven 0 (0) archived 5 (15) failed 0 (0)",
        "5 not proven: the ripple family has no proofs here",
        "1 were read live, from later states up to 2023-02-17T16:00:30Z",
        "Nothing contradicts the balances, and nothing proves them (0 proven, 5 archived and not proven, 0 failed).",
        "5 archived balances: they are the word of the sources that were asked.",
    ):
        assert part in said
    assert "\x1b" not in said


def test_json_has_counts_and_amounts_by_chain_and_asset(made: Publication, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["balances", str(made.write(tmp_path)), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["totals"] == {"proven": 0, "archived": 5, "failed": 0}
    (chain,) = document["chains"]
    assert chain["assets"]["XRP"]["archived"] == {"balances": 5, "amount": "15000000"}
    assert chain["read_live"] == 1


@pytest.mark.parametrize("option", [("--all-proven",), ("--require-proofs", "ripple"), ("--require-proofs", "mars,ripple")])
def test_what_is_archived_does_not_do_where_proofs_are_asked_for(
    made: Publication, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    assert main(["balances", str(made.write(tmp_path)), *option]) == 1
    assert "5 balances are archived and not proven" in " ".join(capsys.readouterr().out.split())


def test_no_balances_prove_nothing(made: Publication, tmp_path: Path) -> None:
    made.rows.clear()
    verified = balances.verify(made.write(tmp_path))
    assert verified.findings.exit_code is Exit.FAILED
    assert any("nothing to check" in failure for failure in failures(verified))


@pytest.mark.parametrize(
    "path", ["tables/wallet_balances.parquet", "tables/snapshot_blocks.parquet", "evidence/chains.json", f"evidence/{ARCHIVE}"]
)
@pytest.mark.parametrize("change", ["remove", "truncate", "flip", "unlisted"])
def test_a_file_that_is_missing_damaged_or_not_listed_is_found(made: Publication, tmp_path: Path, path: str, change: str) -> None:
    folder = made.write(tmp_path)
    content = (folder / path).read_bytes()
    if change in ("remove", "unlisted"):
        (folder / path).unlink()
    else:
        changed = content[:-3] if change == "truncate" else content[:-1] + bytes([content[-1] ^ 1])
        (folder / path).write_bytes(changed)
    if change == "unlisted":
        seal(folder)
        (folder / path).write_bytes(content)
    assert balances.verify(folder).findings.exit_code is Exit.FAILED


LINE = canonical("account_info", [0], {"Balance": "0"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (LINE[:-1], "is not JSON"),
        (LINE[:-1] + b',"result":1}', "named twice"),
        (b"[]", "is not made of method, params and result"),
        (b'{"method":1,"params":[],"result":1}', "is not made of"),
        (b'{"method":"x","params":[]}', "is not made of"),
        (b'{"error":1,"method":"x","params":[],"result":1}', "is not made of"),
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff", "is not JSON"),
    ],
)
def test_a_malformed_line_is_a_failure_with_its_name(made: Publication, tmp_path: Path, line: bytes, said: str) -> None:
    made.write(tmp_path)
    write_archive(tmp_path / "evidence" / ARCHIVE, [line])
    for row in made.rows:
        row["evidence"] = hashlib.sha256(line).hexdigest()
    made.lines.clear()
    verified = balances.verify(made.write(tmp_path))
    assert verified.findings.exit_code is Exit.FAILED
    assert any(said in failure and hashlib.sha256(line).hexdigest() in failure for failure in failures(verified)), failures(verified)
    assert counts(verified)["failed"] == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [(LINE, "cut off"), (LINE + b"\n" + LINE + b"\n", "twice or out of the order"), (None, "not a readable archive")],
)
def test_a_malformed_archive_is_a_failure(made: Publication, tmp_path: Path, content: bytes | None, said: str) -> None:
    folder = made.write(tmp_path)
    path = folder / "evidence" / ARCHIVE
    if content is None:
        path.write_bytes(b"no zstd")
    else:
        with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
            stream.write(content)
    seal(folder)
    verified = balances.verify(folder)
    assert verified.findings.exit_code is Exit.FAILED
    assert any(said in failure for failure in failures(verified)), failures(verified)


def test_evidence_in_another_sources_archive_is_found_as_well(made: Publication, tmp_path: Path) -> None:
    made.lines["ripple/ripple_b/balances-00000.jsonl.zst"] = made.lines.pop(ARCHIVE)
    for row in made.rows:
        row["evidence"] = ("ripple/ripple_b/balances-00000.jsonl.zst", row["evidence"][1])
    assert counts(balances.verify(made.write(tmp_path)))["archived"] == 5


def test_a_refusal_may_be_what_a_balance_rests_on(made: Publication, tmp_path: Path) -> None:
    folder = made.write(tmp_path)
    line = b'{"error":{"code":19},"method":"account_info","params":["r9"]}'
    write_archive(folder / "evidence" / "ripple/ripple_a/balances-00001.jsonl.zst", [line])
    table = pq.read_table(folder / "tables" / "wallet_balances.parquet").to_pylist()
    write_table(folder, "wallet_balances", [row | {"evidence": hashlib.sha256(line).hexdigest()} for row in table])
    seal(folder)
    assert counts(balances.verify(folder))["archived"] == 5


def _facts(**more: Any) -> dict[str, Any]:
    token = {"contract": "0x", "decimals": 6, "balance_slot": 1, "slot_layout": "solidity", "balance_bits": 256, "slot_note": ""}
    known = {"family": "evm", "asset": "ETH", "sources": [{"name": "a", "kind": "b"}], "decimals": {"ETH": 18}, "tokens": {"USDT": token}}
    return {"ethereum": MEMBERS | known | more}


def _token(**more: Any) -> dict[str, Any]:
    return _facts(tokens={"USDT": _facts()["ethereum"]["tokens"]["USDT"] | more})


def test_facts_with_further_members_are_read() -> None:
    assert facts.read(rfc8785.dumps(_facts(note="later")))["ethereum"].tokens["USDT"].slot == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (_facts(family="mars"), "'mars'"),
        (_facts(decimals={"ETH": 39}), "decimals that are none"),
        (_facts(decimals={"ETH": "18"}), "decimals that are none"),
        (_facts(proofs=1), "'proofs'"),
        (_facts(chain_id=True), "'chain_id'"),
        (_facts(sources=["a"]), "is not a JSON object"),
        (_token(balance_slot=-2), "cannot be"),
        (_token(slot_layout="huff"), "cannot be"),
        (_token(balance_bits=0), "cannot be"),
        (_token(balance_bits=257), "cannot be"),
        ([], "not an object"),
        ({"ethereum": []}, "is not a JSON object"),
    ],
)
def test_malformed_facts_are_refused(values: Any, said: str) -> None:
    with pytest.raises(MalformedError, match=said):
        facts.read(rfc8785.dumps(values))


def _chains(**chains: dict[str, Any]) -> dict[str, Any]:
    return {name: _facts()["ethereum"] | {"tokens": {}} | more for name, more in chains.items()}


TOKEN = _facts()["ethereum"]["tokens"]["USDT"] | {"contract": "0x" + "ab" * 20}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (_chains(a={"chain_id": 1}, b={"chain_id": 1}), "a and b are one chain"),
        (_chains(a={"chain_id": 1, "genesis": "x"}, b={"chain_id": 1, "genesis": "y"}), "a and b are one chain"),
        (_chains(a={"family": "bitcoin", "network": "bitcoin"}, b={"family": "bitcoin", "network": "bitcoin"}), "a and b are one chain"),
        (_chains(a={"family": "ton", "genesis": "ab"}, b={"family": "ton", "genesis": "ab"}), "a and b are one chain"),
        (_facts(tokens={"USDT": TOKEN, "USDC": TOKEN}), "USDC and USDT are one token|USDT and USDC are one token"),
        (_facts(tokens={"USDT": TOKEN, "USDC": TOKEN | {"contract": "0x" + "AB" * 20}}), "are one token"),
        (_facts(tokens={"ETH": TOKEN}), "the native asset is a token as well"),
    ],
)
def test_facts_that_count_one_thing_twice_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedError, match=said):
        facts.read(rfc8785.dumps(values))


@pytest.mark.parametrize(
    "values",
    [
        _chains(a={"chain_id": 1}, b={"chain_id": 2}),
        _chains(a={"chain_id": 1}, b={"chain_id": 1, "family": "aptos"}),
        _chains(a={"family": "bitcoin", "network": "bitcoin"}, b={"family": "bitcoin", "network": "bitcoin_cash"}),
        _chains(
            a={"family": "polkadot", "network": "polkadot", "genesis": "a"}, b={"family": "polkadot", "network": "hub", "genesis": "b"}
        ),
        _chains(a={"family": "tron"}, b={"family": "tron"}),  # nothing tells them apart, and nothing says that they are the same
        {name: item | {"tokens": {"USDT": TOKEN}} for name, item in _chains(a={"chain_id": 1}, b={"chain_id": 2}).items()},
    ],
)
def test_facts_of_different_chains_and_tokens_are_read(values: dict[str, Any]) -> None:
    assert facts.read(rfc8785.dumps(values)).keys() == values.keys()


@pytest.mark.parametrize("change", [lambda content: content + b"\n", lambda content: b"{", lambda content: content.replace(b":6", b": 6")])
def test_facts_that_are_not_canonical_are_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError, match=facts.FILE_NAME):
        facts.read(change(rfc8785.dumps(_facts())))


def test_a_wrong_folder_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["balances", str(tmp_path)]) == 2
    assert "is empty. Nothing can be proven about nothing" in capsys.readouterr().err


def test_a_table_of_another_form_is_refused(made: Publication, tmp_path: Path) -> None:
    folder = made.write(tmp_path)
    rows = pq.read_table(folder / "tables" / "wallet_balances.parquet").drop_columns(["read_time"])
    pq.write_table(rows, folder / "tables" / "wallet_balances.parquet")
    seal(folder)
    assert any("columns this verifier knows" in failure for failure in failures(balances.verify(folder)))


def test_memory_does_not_grow_with_the_archives(made: Publication, tmp_path: Path) -> None:
    padding = [{"Balance": str(number), "more": hashlib.sha256(str(number).encode()).hexdigest() * 200} for number in range(3000)]
    for number, answer in enumerate(padding):
        made.lines["ripple/ripple_a/balances-00001.jsonl.zst"].append(["account_info", [number], answer])
    folder = made.write(tmp_path)
    whole = sum(len(item["more"]) for item in padding)
    made.lines.clear()
    tracemalloc.start()
    assert counts(balances.verify(folder))["archived"] == 5
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < whole / 4


def test_the_families_are_those_that_the_publishing_program_has() -> None:
    from assay.chains.families import _MODULES

    assert _MODULES.keys() == facts.FAMILIES


def test_the_schema_of_the_tests_is_the_one_that_the_verifier_knows() -> None:
    from assay_verify import tables

    assert {name: [column for column, _ in columns] for name, columns in SCHEMAS.items()} == {
        name: list(columns) for name, columns in tables.TABLES.items()
    }
    assert copy.deepcopy(tables.KEYS).keys() == tables.TABLES.keys()
