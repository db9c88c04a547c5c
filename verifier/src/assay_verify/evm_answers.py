"""What archived answers of EVM nodes say of balances that come without proofs. Pure: lines in, numbers out.

Such an answer proves nothing, but a balance must not be another one than its answer says. Two kinds of lines hold balances, as
docs/formats/evidence.md has them: a `batch` of `eth_getBalance` and `eth_call`, and one `eth_call` of Multicall3's `aggregate3`
(https://github.com/mds1/multicall3), whose calls each have one address as argument and one word as result, so that their encoding
(https://docs.soliditylang.org/en/latest/abi-spec.html) has one fixed layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assay_verify import evm
from assay_verify.archives import Exchange
from assay_verify.facts import Chain
from assay_verify.findings import MalformedError, require

BATCH, CALL, BALANCE = "batch", "eth_call", "eth_getBalance"
_MULTICALL3 = bytes.fromhex("cA11bde05977b3631167028862bE2a173976CA11")
_AGGREGATE3, _BALANCE_OF, _GET_ETH_BALANCE = (bytes.fromhex(selector) for selector in ("82ad56cb", "70a08231", "4d2301cc"))
_WORD = 32
_CALL_BYTES, _ANSWER_BYTES = 6 * _WORD, 4 * _WORD
_PADDING = bytes(12)  # before an address, to make a word of it

_Held = dict[tuple[bytes, bytes], int]
"""Amounts by contract (empty for the native asset) and holder."""


class EvmAnswers:
    """The balances that one line holds.

    Args:
        exchange: The line.
        block_hash: Of the snapshot block, at which they must have been asked for.

    Raises:
        MalformedError: It is no answer to questions for balances at that block.
    """

    def __init__(self, exchange: Exchange, block_hash: str) -> None:
        require(not exchange.refused, "its evidence is a refusal")
        self._block_hash = block_hash
        self._held: _Held = {}
        if exchange.method == BATCH:
            found = self._batch(exchange.params, exchange.result)
        elif exchange.method == CALL:
            found = self._aggregate(exchange.params, exchange.result)
        else:
            raise MalformedError(f"its evidence is an answer to {exchange.method[:80]}, which is no question for balances")
        for key, amount in found:
            require(self._held.setdefault(key, amount) == amount, "its evidence says two things of one balance")

    def amount(self, chain: Chain, asset: str, address: str) -> int:
        """Return what the line says that an address holds, in base units of the tables.

        Raises:
            MalformedError: Nothing.
        """
        if asset == chain.asset:
            contract, decimals = b"", evm.NATIVE_DECIMALS
        else:
            require(asset in chain.tokens, "chains.json names no contract of the asset")
            contract, decimals = evm.data(chain.tokens[asset].contract, 20), chain.tokens[asset].decimals
        held = self._held.get((contract, evm.data(address, 20)))
        if held is None:
            raise MalformedError("its evidence says nothing of this balance")
        return held * chain.scale(asset, decimals)

    def _batch(self, calls: Any, results: Any) -> Iterator[tuple[tuple[bytes, bytes], int]]:
        try:
            for (method, (what, block)), result in zip(calls, results, strict=True):
                self._require_block(block)
                if method == BALANCE:
                    yield (b"", evm.data(what, 20)), evm.quantity(result)
                elif method == CALL:
                    call = evm.data(what["data"])
                    require(call[:4] == _BALANCE_OF and call[4:16] == _PADDING and len(call) == 36, "a call that asks for no balance")  # noqa: PLR2004
                    yield (evm.data(what["to"], 20), call[16:]), int.from_bytes(evm.data(result, _WORD), "big")
                else:
                    raise MalformedError("its evidence is a batch of other questions than for balances")
        except (TypeError, KeyError, ValueError) as error:
            raise MalformedError("its evidence has not the form of a batch") from error

    def _aggregate(self, params: Any, result: Any) -> Iterator[tuple[tuple[bytes, bytes], int]]:
        try:
            asked, block = params
            to, call = evm.data(asked["to"], 20), evm.data(asked["data"])
        except (TypeError, KeyError, ValueError) as error:
            raise MalformedError("its evidence has not the form of a call") from error
        self._require_block(block)
        require(to == _MULTICALL3 and call[:4] == _AGGREGATE3, "its evidence is a call of something else than Multicall3")
        questions, answers = _items(call[4:], _CALL_BYTES), _items(evm.data(result), _ANSWER_BYTES)
        require(len(questions) == len(answers), "its evidence has not one answer to each call")
        for question, answer in zip(questions, answers, strict=True):
            target, selector, holder = question[12:32], question[128:132], question[144:164]
            fixed = _PADDING + target + _words(1, 96, 36) + selector + _PADDING + holder + bytes(28)
            require(question == fixed, "its evidence has a call of another form")
            require(answer[: 3 * _WORD] == _words(1, 64, 32), "its evidence has a call that failed, or another result than one word")
            native = selector == _GET_ETH_BALANCE and target == _MULTICALL3
            require(native or selector == _BALANCE_OF, "its evidence has a call that asks for no balance")
            yield (b"" if native else target, holder), int.from_bytes(answer[3 * _WORD :], "big")

    def _require_block(self, block: Any) -> None:
        named = block.get("blockHash") if isinstance(block, dict) else None
        require(named == self._block_hash, "its evidence was not asked for at the snapshot block")


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(_WORD, "big") for number in numbers)


def _items(content: bytes, size: int) -> list[bytes]:
    """Return the items of an encoded list whose items all have one size; it stands alone, and they in their order."""
    count = int.from_bytes(content[_WORD : 2 * _WORD], "big")
    first = (2 + count) * _WORD
    require(len(content) == first + count * size, "its evidence is no list of calls, or of as many answers")
    require(
        content[:first] == _words(_WORD, count, *(count * _WORD + size * number for number in range(count))),
        "its evidence is a list in another order than its heads say",
    )
    return [content[place : place + size] for place in range(first, len(content), size)]
