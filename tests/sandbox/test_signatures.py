"""Signatures by the sandbox's keepers, checked with the verifier's schemes; beside it eth_account, litecoind and contracts on a running anvil."""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from assay_verify.ownership.chain_state import ChainState, Contracts, RevertedError
from assay_verify.ownership.challenge import Challenge, build
from assay_verify.ownership.interface import NotVerifiedError, Statement, Verified
from assay_verify.ownership.schemes import NO_STATE, verify_for
from sandbox.anvil import AnvilError
from sandbox.bitcoin_blocks import BITCOIN, LITECOIN, mine
from sandbox.bitcoin_keys import Wallet, address
from sandbox.evm import EvmNode
from sandbox.evm_accounts import THRESHOLD, address_of, call_data, owners_of
from sandbox.litecoin import LitecoinNode, find_litecoind
from sandbox.scenario import WalletPlan, wallets
from sandbox.signatures import COLUMNS, STATIC, STATIC_TEXT, UNSIGNED, sign

NETWORKS = {network.chain: network for network in (BITCOIN, LITECOIN)}
CHAIN_IDS = {"ethereum": 1, "arbitrum": 42161}
TOKEN = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
PLANS = wallets(litecoin=True)
Rows = dict[tuple[str, int], tuple[WalletPlan, Statement, str]]


def address_by_plan(plan: WalletPlan) -> str:
    if network := NETWORKS.get(plan.chain):
        return address(Wallet(plan.chain, plan.index, plan.kind).script, network.prefixes)
    return address_of(plan.chain, plan.index, plan.kind)


ADDRESSES: dict[str, dict[int, str]] = {}
for planned in PLANS:
    ADDRESSES.setdefault(planned.chain, {})[planned.index] = address_by_plan(planned)


def text_for(plan: WalletPlan) -> str:
    return build(
        Challenge(
            entity="Sandbox Custodian",
            series="sandbox",
            as_of="2023-02-17T16:00:00Z",
            chain=plan.chain,
            address=ADDRESSES[plan.chain][plan.index],
            block_height=17,
            block_hash="ab" * 32,
        )
    )


@pytest.fixture(scope="module")
def challenges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("challenges")
    for chain, addresses in ADDRESSES.items():
        with (folder / f"{chain}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([chain, addresses[plan.index], "", text_for(plan), "", "", ""] for plan in PLANS if plan.chain == chain)
    return folder


@pytest.fixture(scope="module")
def rows(challenges: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    path = tmp_path_factory.mktemp("signed") / "signed.csv"
    sign(challenges, path, PLANS, ADDRESSES)
    plans = {(plan.chain, ADDRESSES[plan.chain][plan.index]): plan for plan in PLANS}
    with path.open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert tuple(read[0]) == COLUMNS
    found = {}
    for row in read:
        plan = plans[row["chain"], row["address"]]
        statement = Statement(
            coin=row["chain"],
            address=row["address"],
            message=row["message"],
            signatures=tuple(row["signatures"].split("\n")),
            script=row["script"],
            owners=tuple(row["owners"].split("\n")) if row["owners"] else (),
        )
        found[plan.chain, plan.index] = plan, statement, row["scheme"]
    assert len(found) == len(read)
    return found


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, EvmNode]]:
    with ExitStack() as stack:
        yield {
            chain: stack.enter_context(
                EvmNode(folder=tmp_path_factory.mktemp(chain), chain=chain, chain_id=chain_id, plans=PLANS, token_contract=TOKEN)
            )
            for chain, chain_id in CHAIN_IDS.items()
        }


def state_of(node: EvmNode, block: str = "latest") -> ChainState:
    block_hash = node.call("eth_getBlockByNumber", block, False)["hash"]

    def call(to: str, data: bytes, at: str) -> bytes:
        try:
            return bytes.fromhex(node.call("eth_call", {"to": to, "data": "0x" + data.hex()}, {"blockHash": at})[2:])
        except AnvilError as error:
            raise RevertedError(to) from error

    def code(to: str, at: str) -> bytes:
        return bytes.fromhex(node.call("eth_getCode", to, {"blockHash": at})[2:])

    return ChainState(contracts=Contracts(call=call, code=code, block_hash=block_hash))


def verify(statement: Statement, chain: str, state: ChainState = NO_STATE) -> Verified:
    return verify_for(statement, NETWORKS[chain].network if chain in NETWORKS else "evm", state)


def of_chain(rows: Rows, chain: str) -> list[tuple[WalletPlan, Statement, str]]:
    return [row for (name, _), row in rows.items() if name == chain]


@pytest.mark.parametrize("chain", ["bitcoin", "litecoin"])
def test_every_bitcoin_signature_verifies_as_the_scheme_that_it_names_and_for_no_other_text(rows: Rows, chain: str) -> None:
    for plan, statement, scheme in of_chain(rows, chain):
        verified = verify(statement, chain)
        assert verified.scheme == scheme
        assert len(verified.keys) == (2 if plan.kind.endswith("multisig") else 1)
        with pytest.raises(NotVerifiedError):
            verify(replace(statement, message=statement.message + "."), chain)


@pytest.mark.parametrize("chain", CHAIN_IDS)
def test_every_evm_signature_verifies_as_the_scheme_that_it_names_and_for_no_other_text(
    rows: Rows, nodes: dict[str, EvmNode], chain: str
) -> None:
    state = state_of(nodes[chain])
    for _, statement, scheme in of_chain(rows, chain):
        assert verify(statement, chain, state).scheme == scheme
        with pytest.raises(NotVerifiedError):
            verify(replace(statement, message=statement.message + "."), chain, state)


def test_every_chain_has_every_way_of_signing_that_it_can_have(rows: Rows) -> None:
    def form(plan: WalletPlan, statement: Statement, scheme: str) -> str:
        first = statement.signatures[0]
        if scheme == "bip322":
            return f"{plan.kind} {first[:3]}"
        return plan.kind + " messages" * (scheme == "bitcoin_multisig") + " message" * (scheme == "bip137")

    ways = {chain: {form(*row) for row in of_chain(rows, chain)} for chain in NETWORKS}
    messages = {"p2pkh message", "p2wpkh message", "p2sh_p2wpkh message", "p2sh_multisig messages", "p2wsh_multisig messages"}
    assert ways["litecoin"] == messages
    assert ways["bitcoin"] == messages | {
        *("p2pkh ful", "p2sh_multisig ful"),
        *("p2wpkh smp", "p2sh_p2wpkh smp", "p2wsh_multisig smp", "p2tr smp"),
    }
    for chain in CHAIN_IDS:
        schemes = {(plan.kind, scheme) for plan, _, scheme in of_chain(rows, chain)}
        accounts = {("eoa", "eip191"), ("eoa", "eip191_hashed"), ("eoa", "eip712")}
        assert schemes == accounts | {("contract", "eip1271"), ("contract", "eoa_owners")}


@pytest.mark.parametrize("chain", NETWORKS)
def test_messages_are_signed_with_the_first_byte_of_bip137_and_with_electrums(rows: Rows, chain: str) -> None:
    headers: dict[str, set[int]] = {}
    for plan, statement, scheme in of_chain(rows, chain):
        if scheme != "bip322":
            kinds = headers.setdefault(plan.kind, set())
            kinds.update((base64.b64decode(signature)[0] - 27) // 4 for signature in statement.signatures)
    assert headers["p2pkh"] == {1}
    assert headers["p2sh_p2wpkh"] == {1, 2}
    assert headers["p2wpkh"] == {1, 3}


def test_one_wallet_of_each_chain_is_not_signed_for_and_one_has_a_constant_text(rows: Rows) -> None:
    for chain in ADDRESSES:
        assert {plan.index for plan in PLANS if plan.chain == chain} - {index for name, index in rows if name == chain} == {UNSIGNED}
        static = {plan.index for plan, statement, _ in of_chain(rows, chain) if statement.message == STATIC_TEXT}
        assert static == {STATIC}
    custody = {plan.index: plan.custody for plan in PLANS}
    assert (custody[UNSIGNED], custody[STATIC]) == ("third_party", "cold")
    # Both hold something at both moments, so that the two ratios differ.
    assert all(any(plan.first.values()) and any(plan.second.values()) for plan in PLANS if plan.index in {UNSIGNED, STATIC})


def test_others_than_the_unsigned_wallet_sign_the_text_that_was_asked_for(rows: Rows) -> None:
    for plan, statement, _ in rows.values():
        assert statement.message == (STATIC_TEXT if plan.index == STATIC else text_for(plan))


def test_a_contract_wallet_tells_owners_and_threshold_like_a_safe(nodes: dict[str, EvmNode], rows: Rows) -> None:
    for chain, node in nodes.items():
        state = state_of(node)
        assert state.contracts is not None
        for plan, statement, scheme in of_chain(rows, chain):
            if plan.kind != "contract":
                continue
            answer = state.contracts.call(
                statement.address, bytes.fromhex(call_data("wallet", "getOwners")[2:]), state.contracts.block_hash
            )
            owners = [int(owner, 16).to_bytes(32, "big") for owner, _ in owners_of(chain, plan.index)]
            assert answer == (32).to_bytes(32, "big") + len(owners).to_bytes(32, "big") + b"".join(owners)
            answer = state.contracts.call(
                statement.address, bytes.fromhex(call_data("wallet", "getThreshold")[2:]), state.contracts.block_hash
            )
            assert int.from_bytes(answer, "big") == THRESHOLD
            if scheme == "eoa_owners":
                # A note would say that nobody was asked who owns the contract.
                assert verify(statement, chain, state).note == ""
                assert verify(statement, chain).note


def test_a_contract_wallet_takes_other_signatures_for_none_of_its_own(nodes: dict[str, EvmNode], rows: Rows) -> None:
    plan, statement, scheme = rows["ethereum", 0]
    assert (plan.kind, scheme) == ("contract", "eip1271")
    state = state_of(nodes["ethereum"])
    raw = statement.signatures[0].removeprefix("0x")
    first, second = raw[:130], raw[130:]
    for wrong in ("", first, second + first, first + first, raw + first, raw[:-2], raw[:-2] + "1d", raw + "00" * 500, "00" * 130):
        with pytest.raises(NotVerifiedError, match="not the magic value"):
            verify(replace(statement, signatures=("0x" + wrong,)), "ethereum", state)
    assert state.contracts is not None
    data = call_data("wallet", "isValidSignature", bytes(32), bytes.fromhex(raw))
    answer = state.contracts.call(statement.address, bytes.fromhex(data[2:]), state.contracts.block_hash)
    assert answer.hex() == "ffffffff" + "00" * 28
    with pytest.raises(NotVerifiedError, match="had no code at the block"):
        verify(statement, "ethereum", state_of(nodes["ethereum"], "0x0"))


def test_eth_account_finds_the_same_signers(rows: Rows) -> None:
    from eth_account import Account
    from eth_account.messages import encode_defunct, encode_typed_data
    from eth_utils.crypto import keccak

    from assay_verify.ownership.evm import TYPED_DATA

    for plan, statement, scheme in of_chain(rows, "ethereum"):
        if plan.kind == "eoa":
            signable = {
                "eip191": lambda text: encode_defunct(text=text),
                "eip191_hashed": lambda text: encode_defunct(primitive=keccak(text=text)),
                "eip712": lambda text: encode_typed_data(full_message=TYPED_DATA | {"message": {"statement": text}}),
            }[scheme](statement.message)
            assert Account.recover_message(signable, signature=statement.signatures[0]) == statement.address


def test_litecoind_takes_the_messages_of_addresses_that_it_verifies(rows: Rows, tmp_path: Path) -> None:
    if find_litecoind() is None:
        pytest.skip("litecoind is not installed, so no message is verified by Litecoin's own node")
    signed = [(statement, scheme) for plan, statement, scheme in of_chain(rows, "litecoin") if plan.kind == "p2pkh"]
    with LitecoinNode(folder=tmp_path, mined=mine(LITECOIN, [plan for plan in PLANS if plan.chain == "litecoin"])) as node:
        for suffix in ("", "."):
            answers = node.call_many(
                [("verifymessage", [item.address, item.signatures[0], item.message + suffix]) for item, scheme in signed]
            )
            assert answers == [not suffix] * len(signed)


def test_two_runs_write_the_same_file(challenges: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        sign(challenges, tmp_path / name, PLANS, ADDRESSES)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("chain,address,message\n", "its header is 'chain,address,message'"),
        (f"{','.join(COLUMNS)}\nbitcoin,bcrt1qnobody,,text,,,\n", "bcrt1qnobody on bitcoin is no wallet of the sandbox"),
        ("", "its header is ''"),
    ],
)
def test_files_of_another_layout_and_strange_addresses_are_refused(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "challenges").mkdir()
    (tmp_path / "challenges" / "bitcoin.csv").write_text(content)
    with pytest.raises(ValueError, match=problem):
        sign(tmp_path / "challenges", tmp_path / "signed.csv", PLANS, ADDRESSES)
