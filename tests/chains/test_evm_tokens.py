"""Whether an EVM token is what the registry says, against a scripted node: contracts that refuse a call, and nodes that do.

What nodes answer to a call that was reverted is taken from their own descriptions: https://github.com/ethereum/execution-apis/pull/600 (go-ethereum),
https://github.com/NethermindEth/nethermind/issues/9329 and …/issues/2098, https://github.com/filecoin-project/lotus/pull/13467.
"""

from __future__ import annotations

from typing import Any

import pytest

from assay.chains.evm.abi import DECIMALS, DEPRECATED
from assay.chains.evm.tokens import NATIVE_CONTRACTS
from assay.config import Token
from assay.errors import AssayError, RegistryError, SourceMismatchError, SourceUnavailableError
from tests.chains.evm_asking import TOKENS, Recorded, any_block, ask, chain_of
from tests.chains.scripted_server import RpcError, ScriptedServer, json_rpc

YES, NO, EMPTY = f"0x{1:064x}", f"0x{0:064x}", "0x"
SIX = f"0x{6:064x}"
REVERTS = [
    RpcError(3, "execution reverted", data="0x"),
    RpcError(3, "execution reverted: revert", data="0x"),
    RpcError(3, "execution reverted: not a function"),
    RpcError(-32000, "execution reverted"),
    RpcError(-32000, "Execution reverted", data="0x"),
    RpcError(-32015, "VM execution error.", data="revert"),
    RpcError(-32015, "VM execution error.", data="Reverted 0x"),
    RpcError(11, "message execution failed (exit=[33], revert reason=[none], vm error=[contract reverted (33)])"),
]
REFUSALS: list[tuple[RpcError, type[AssayError], str]] = [
    (RpcError(-32005, "limit exceeded"), SourceUnavailableError, "limit exceeded"),
    (RpcError(429, "Too many requests"), SourceUnavailableError, "Too many requests"),
    (RpcError(-32603, "internal error"), SourceUnavailableError, "internal error"),
    (RpcError(-32000, "execution timeout"), SourceMismatchError, "execution timeout"),
    (RpcError(-32000, "missing trie node 5c0f (path ) state 0x5c0f is not available"), SourceMismatchError, "missing trie node"),
    (RpcError(-32000, "header for hash not found"), SourceMismatchError, "header for hash not found"),
    (RpcError(-32601, "the method eth_call does not exist/is not available"), SourceMismatchError, "does not exist"),
    (RpcError(3, "actor not found"), SourceMismatchError, "actor not found"),
    (RpcError(-32015, "VM execution error.", data=None), SourceMismatchError, "VM execution error"),
]


def node(decimals: Any = SIX, deprecated: Any = NO) -> ScriptedServer:
    answers = {"0x" + DECIMALS.hex(): decimals, "0x" + DEPRECATED.hex(): deprecated}

    def call(params: list[Any]) -> Any:
        assert params[0]["to"] == TOKENS["ethereum"]
        answer = answers[params[0]["data"]]
        if isinstance(answer, RpcError):
            raise answer
        return answer

    return ScriptedServer(json_rpc({"eth_getCode": "0x60", "eth_call": call}))


def check(server: ScriptedServer) -> Recorded:
    archive = Recorded()
    with server:
        ask(server.url, lambda reader: reader.check_assets(any_block("ethereum")), chain=chain_of("ethereum"), archive=archive)
    return archive


@pytest.mark.parametrize("deprecated", [NO, EMPTY, *REVERTS], ids=str)
def test_a_token_that_is_not_deprecated_or_knows_no_such_thing_is_accepted_and_what_it_said_archived(deprecated: Any) -> None:
    method, params, said = check(node(deprecated=deprecated)).exchanges[-1]
    assert (method, params[0]["data"]) == ("eth_call", "0x" + DEPRECATED.hex())
    assert said == (deprecated.error if isinstance(deprecated, RpcError) else deprecated)


@pytest.mark.parametrize(("refusal", "kind", "words"), REFUSALS, ids=str)
@pytest.mark.parametrize("function", ["decimals", "deprecated"])
def test_a_node_that_refuses_is_never_taken_for_a_contract_that_does(
    function: str, refusal: RpcError, kind: type[AssayError], words: str
) -> None:
    with pytest.raises(kind, match=words) as raised:
        check(node(**{function: refusal}))
    assert not isinstance(raised.value, RegistryError)
    assert "source node_a" in str(raised.value)


@pytest.mark.parametrize("revert", REVERTS, ids=str)
def test_a_contract_without_decimals_is_no_token_whatever_way_the_node_says_so(revert: RpcError) -> None:
    with pytest.raises(RegistryError, match=r"the contract has no decimals\(\)"):
        check(node(decimals=revert))


@pytest.mark.parametrize(
    ("deprecated", "problem"),
    [
        (YES, "says that it is deprecated"),
        (f"0x{2:064x}", "neither yes nor no"),
        ("0x01", "neither yes nor no"),
        (NO + "00" * 32, "neither yes nor no"),
    ],
)
def test_a_token_that_is_deprecated_or_will_not_say_is_refused(deprecated: str, problem: str) -> None:
    with pytest.raises(RegistryError, match=problem):
        check(node(deprecated=deprecated))


@pytest.mark.parametrize("deprecated", [None, 0, False, "", "0x0", "revert", [], {}])
def test_an_answer_that_is_no_data_is_the_nodes_fault(deprecated: Any) -> None:
    with pytest.raises(SourceMismatchError, match="source node_a, deprecation of USDT"):
        check(node(deprecated=deprecated))


@pytest.mark.parametrize("contract", [*sorted(NATIVE_CONTRACTS), "0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000"])
def test_the_native_asset_as_a_token_would_count_twice_and_is_refused(contract: str) -> None:
    token = Token(asset="USDT", contract=contract, decimals=6, source="")
    with pytest.raises(RegistryError, match="gives the balances of ETH, which would be counted twice"):
        ask("http://127.0.0.1:1", lambda reader: reader.check_network(), chain=chain_of("ethereum", tokens={"USDT": token}))
