"""From challenges to proven wallets, on a real anvil node with the sandbox's wallets and keys; and everything that must not pass."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from assay import reserves
from assay.chains.asking import Connect
from assay.chains.evidence import EvidenceArchive
from assay.chains.evm import EvmReader
from assay.config import OwnershipSettings, Settings
from assay.errors import OwnershipError, SourceMismatchError
from assay.ownership import statements
from assay.ownership.challenge import write_challenges
from assay.ownership.proving import Proof, prove, prove_by_contract
from assay.ownership.statements import OwnershipStatement, read_blocks, read_csv, write_csv
from assay.ownership.store import import_file
from sandbox.evm import EvmNode
from sandbox.scenario import SECOND, wallets
from sandbox.signatures import sign
from tests.chains.lying_proxy import Call, LyingProxy, tamper_results

TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
PLANS = [plan for plan in wallets(litecoin=False) if plan.chain == "ethereum"][:30]
CONTRACTS = [plan.index for plan in PLANS if plan.kind == "contract"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvmNode]:
    folder = tmp_path_factory.mktemp("node")
    with EvmNode(folder=folder, chain="ethereum", chain_id=1, plans=PLANS, token_contract=TOKEN) as node:
        yield node


@pytest.fixture
def settings(config_file: Path, node: EvmNode) -> Settings:
    """One chain, whose two sources are one node: only what they say is compared here."""
    folder = config_file.parent / "registry"
    chains = (folder / "chains.toml").read_text()
    (folder / "chains.toml").write_text(chains[chains.index("[ethereum]") :])
    rows = [f"ethereum,{node.addresses[plan.index]},{plan.custody},{plan.encumbrance},w{plan.index}" for plan in PLANS]
    (folder / "wallets.csv").write_text("\n".join(["chain,address,custody,encumbrance,label", *rows]) + "\n")
    config_file.write_text(config_file.read_text() + "\n[stability]\noffsets_seconds = []\n")
    return Settings.load(config_file)


@pytest.fixture
def connect(node: EvmNode) -> Connect:
    return lambda _source, _place: node.url


@pytest.fixture
def signed(settings: Settings, node: EvmNode, connect: Connect, tmp_path: Path) -> Path:
    """What the keepers sent back."""
    write_challenges(settings, SECOND, tmp_path / "challenges", connect=connect)
    sign(tmp_path / "challenges", tmp_path / "signed.csv", PLANS, {"ethereum": node.addresses})
    return tmp_path / "signed.csv"


def take_snapshot(settings: Settings, connect: Connect, folder: Path) -> Path:
    registry = reserves.check_registry(settings, SECOND, folder.with_name(f"{folder.name}-registry"))
    chunks = reserves.resolve_block(settings, "ethereum", SECOND, registry, folder, connect=connect)
    reads = [
        reserves.read_chunk(settings, "ethereum", source.name, chunk, folder, connect=connect)
        for chunk in chunks
        for source in settings.chain("ethereum").sources
    ]
    return reserves.agree(settings, "ethereum", chunks, reads, registry, folder, connect=connect)


def change(path: Path, address: str, alter: Callable[[OwnershipStatement], OwnershipStatement]) -> None:
    """Alter one wallet's row of a file of statements."""
    write_csv([alter(item) if item.address == address else item for _, item in list(read_csv(path))], path)


def test_what_keepers_signed_is_proven_in_the_run_and_stands_beside_the_balances(
    settings: Settings, node: EvmNode, connect: Connect, signed: Path, tmp_path: Path
) -> None:
    assert all(item.good for item in import_file(settings, SECOND, signed))
    folder = take_snapshot(settings, connect, tmp_path / "raw")
    rows = {row["address"]: row for row in pq.read_table(folder / "ownership.parquet").to_pylist()}
    statuses = {index: rows[node.addresses[index]]["status"] for index in (plan.index for plan in PLANS)}
    assert (statuses[10], statuses[11]) == ("static", "none")
    assert {status for index, status in statuses.items() if index not in (10, 11)} == {"fresh"}
    (block,) = pq.read_table(folder / "block.parquet").to_pylist()
    for index in CONTRACTS:
        row = rows[node.addresses[index]]
        assert row["scheme"] in ("eip1271", "eoa_owners")
        assert row["verified_at_block"] == block["hash"]
    named = read_blocks(settings, SECOND)["ethereum"]
    fresh = rows[node.addresses[1]]
    assert fresh["signed_at"] == named.time
    assert fresh["message"].endswith(f"block: {named.height} {named.hash}")
    assert rows[node.addresses[10]]["signed_at"] is None
    assert {key for key, value in rows[node.addresses[11]].items() if value is not None} == {"chain", "address", "status"}
    balances = pq.read_table(folder / "balances.parquet").to_pylist()
    assert all(row["ownership_status"] == rows[row["address"]]["status"] for row in balances)


def test_nothing_is_proven_where_nothing_was_signed(settings: Settings, connect: Connect, tmp_path: Path) -> None:
    folder = take_snapshot(settings, connect, tmp_path / "raw")
    assert set(pq.read_table(folder / "ownership.parquet").column("status").to_pylist()) == {"none"}


def test_asked_a_second_time_the_texts_are_the_same(settings: Settings, connect: Connect, signed: Path, tmp_path: Path) -> None:
    later = SECOND - timedelta(hours=13)
    write_challenges(settings, SECOND, tmp_path / "again", connect=connect, at=later)
    assert (tmp_path / "again" / "ethereum.csv").read_bytes() == (tmp_path / "challenges" / "ethereum.csv").read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("as of: 2023-02-17", "as of: 2023-01-18"),
        ("series: test", "series: other"),
        ("entity: Test", "entity: Best"),
        ("chain: ethereum", "chain: arbitrum"),
        ("address: 0x", "address: 0y"),
        ("block: 1", "block: 2"),
        ("attestation.", "attestation!"),
        (" | ", "  | "),
    ],
)
def test_a_text_that_is_not_the_one_asked_for_is_refused(settings: Settings, signed: Path, node: EvmNode, old: str, new: str) -> None:
    """The signature over the altered text is right: it is the text that is another report's."""
    from eth_account import Account
    from eth_account.messages import encode_defunct

    account = Account.create("a keeper")
    wallets_file = settings.registry / "wallets.csv"
    wallets_file.write_text(wallets_file.read_text() + f"ethereum,{account.address},hot,none,new\n")
    (item,) = [item for _, item in read_csv(signed) if item.address == node.addresses[1]]
    right = item.message.replace(item.address, account.address)
    assert old in right
    for message, good in ((right, True), (right.replace(old, new, 1), False)):
        signature = "0x" + account.sign_message(encode_defunct(text=message)).signature.hex().removeprefix("0x")
        write_csv([OwnershipStatement(chain="ethereum", address=account.address, message=message, signatures=signature)], signed)
        (result,) = import_file(settings, SECOND, signed)
        # A text that no longer means to be a challenge is a constant one, and never fresh.
        assert result.good is (good or result.words.startswith("static")), result.words
        assert result.words.startswith("fresh") is good


def test_a_challenge_for_another_wallet_is_refused(settings: Settings, signed: Path, node: EvmNode) -> None:
    rows = {item.address: item for _, item in read_csv(signed)}
    other = rows[node.addresses[2]]
    change(signed, node.addresses[1], lambda item: replace(other, address=item.address))
    results = {item.address: item for item in import_file(settings, SECOND, signed)}
    assert not results[node.addresses[1]].good
    assert "not the text asked for" in results[node.addresses[1]].words


def test_a_signature_that_is_older_than_the_policy_allows_is_refused(settings: Settings, signed: Path, node: EvmNode) -> None:
    strict = replace(settings, ownership=OwnershipSettings(max_age_days=0))
    results = {item.address: item for item in import_file(strict, SECOND, signed)}
    assert "0 days old" in results[node.addresses[1]].words
    assert results[node.addresses[10]].good, "a constant text has no age"


def test_a_bad_row_is_named_and_the_good_ones_are_kept(settings: Settings, signed: Path, node: EvmNode) -> None:
    change(signed, node.addresses[1], lambda item: replace(item, signatures=item.signatures[:-2] + "00"))
    results = import_file(settings, SECOND, signed)
    assert [item.address for item in results if not item.good] == [node.addresses[1]]
    kept = {item.address for _, item in read_csv(statements.path_of(settings, SECOND))}
    assert kept == {item.address for item in results if item.good}


def test_a_contract_that_does_not_take_the_signature_stops_the_run(
    settings: Settings, node: EvmNode, connect: Connect, signed: Path, tmp_path: Path
) -> None:
    rows = {item.address: item for _, item in read_csv(signed)}
    one, other, *_ = (address for address, item in rows.items() if item.scheme == "eip1271")
    change(signed, one, lambda item: replace(item, signatures=rows[other].signatures))
    assert all(item.good for item in import_file(settings, SECOND, signed)), "only the contract can tell"
    with pytest.raises(OwnershipError, match=f"{one}.*magic value"):
        take_snapshot(settings, connect, tmp_path / "raw")
    with (tmp_path / "raw" / "ownership_failures.csv").open() as file:
        assert [row["address"] for row in csv.DictReader(file)] == [one]
    assert not (tmp_path / "raw" / "balances.parquet").exists()


def test_a_statement_that_was_altered_after_the_import_stops_the_run(
    settings: Settings, node: EvmNode, connect: Connect, signed: Path, tmp_path: Path
) -> None:
    import_file(settings, SECOND, signed)
    change(statements.path_of(settings, SECOND), node.addresses[1], lambda item: replace(item, message=item.message.lower()))
    with pytest.raises(OwnershipError, match="does not hold"):
        take_snapshot(settings, connect, tmp_path / "raw")


def test_a_contract_that_was_deployed_after_the_block_proves_nothing(
    settings: Settings, node: EvmNode, connect: Connect, signed: Path
) -> None:
    (item, *_) = [item for _, item in read_csv(signed) if item.scheme == "eip1271"]

    async def ask(height: int) -> Proof:
        chain = settings.chain("ethereum")
        reader = EvmReader(chain, chain.sources[0], assets=dict(settings.assets), archive=EvidenceArchive("x"), url=node.url)
        async with reader:
            block = replace(await reader.resolve(SECOND), height=height, hash=await reader.block_hash(height))
            return await prove_by_contract(reader, settings, SECOND, item, read_blocks(settings, SECOND)["ethereum"], block)

    assert asyncio.run(ask(100)).status == "fresh"
    before = asyncio.run(ask(0))
    assert before.status == "failed"
    assert "no code at the block" in before.note


def test_sources_that_disagree_on_a_contracts_word_stop_the_run(
    settings: Settings, node: EvmNode, connect: Connect, signed: Path, tmp_path: Path
) -> None:
    import_file(settings, SECOND, signed)

    def refuse(call: Call, answer: Call) -> Call:
        data = call["params"][0].get("data", "") if call["method"] == "eth_call" else ""
        return answer | {"result": "0x" + "ff" * 4 + "00" * 28} if data.startswith("0x1626ba7e") else answer

    with LyingProxy(node.url, tamper_results(refuse)) as liar:
        two: Connect = lambda source, _: node.url if source.name.endswith("_a") else liar.url  # noqa: E731
        with pytest.raises(SourceMismatchError, match="say different things of the signatures"):
            take_snapshot(settings, two, tmp_path / "raw")


def test_without_challenges_no_signature_is_fresh(settings: Settings, signed: Path) -> None:
    (item, *_) = [item for _, item in read_csv(signed) if item.scheme == "eip191"]
    proof = prove(settings, datetime(2023, 3, 17, 16, tzinfo=UTC), settings.chain("ethereum"), item, None)
    assert (proof.status, proof.note) == ("failed", "no challenges were written for this moment")


HEADER = b"chain,address,scheme,message,signatures,script,owners\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (HEADER, "no row of it holds a signature"),
        (HEADER + b"ethereum,0x1,,text,,,\n", "no row of it holds a signature"),
        (b"chain,address\n", "the header is 'chain,address'"),
        (HEADER + b"ethereum,0x1\n", "line 2: it has 2 columns and 7 are expected"),
        (HEADER + b'ethereum,0x1,,"a\nb",0x,,\nethereum,0x1\n', "line 4: it has 2 columns"),
        (HEADER + b"\n", "no row of it holds a signature"),
        (HEADER + b"ethereum,\xff\xfe,,,,,\n", "line 2: it is not UTF-8"),
        (HEADER + b'ethereum,"0x1,,,,,\n', "not a CSV file"),
        (HEADER + b"ethereum,0x1,,," + b"a" * (10 << 20) + b",,\n", "not a CSV file"),
    ],
    ids=[
        "empty",
        "header only",
        "unsigned",
        "other header",
        "short row",
        "short row after a long cell",
        "blank",
        "not UTF-8",
        "open quote",
        "10 MB",
    ],
)
def test_a_file_that_is_not_one_of_statements_is_refused_by_line(settings: Settings, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "file.csv").write_bytes(content)
    with pytest.raises(OwnershipError, match=r"file\.csv") as caught:
        import_file(settings, SECOND, tmp_path / "file.csv")
    assert words in str(caught.value)


def test_wallets_that_nobody_listed_or_that_come_twice_are_refused(settings: Settings, signed: Path, node: EvmNode) -> None:
    (item,) = [item for _, item in read_csv(signed) if item.address == node.addresses[1]]
    write_csv([item, item, replace(item, address="0x" + "11" * 20)], signed)
    words = [result.words for result in import_file(settings, SECOND, signed)]
    assert words == ["fresh, eip191", "the wallet stands on line 2 already", "no such wallet stands in the registry"]


def test_a_missing_file_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(OwnershipError, match=r"nowhere\.csv: it cannot be read"):
        import_file(settings, SECOND, tmp_path / "nowhere.csv")


def test_rows_of_any_kind_come_back_from_their_file(tmp_path: Path) -> None:
    rows: list[Any] = [
        OwnershipStatement(
            chain="c", address="a", scheme="s", message='two\nlines, "quoted"', signatures="1\n2", script="00", owners="x\ny"
        ),
        OwnershipStatement(chain="c", address="b"),
    ]
    assert [item for _, item in read_csv(write_csv(rows, tmp_path / "a.csv"))] == rows
