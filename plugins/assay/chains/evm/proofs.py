"""Proofs of EVM balances (EIP-1186): accounts and storage slots, fetched and verified against the state root of the snapshot block.

A balance that was read gets as its evidence the `eth_getProof` answer that proves the same amount: the account for the
native asset, the token contract's storage slot of the holder for a token that keeps balances in plain slots. That something does not exist is
proven as well. Format: docs/formats/evidence.md; proofs: https://eips.ethereum.org/EIPS/eip-1186; slots of mappings:
https://docs.soliditylang.org/en/latest/internals/layout_in_storage.html#mappings-and-dynamic-arrays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from eth_hash.auto import keccak

from assay.chains.answers import AnswerError, quantity
from assay.chains.evm.blocks import AVALANCHE_CHAINS, UNHASHED_CHAINS
from assay.chains.evm.rpc import EvmRpc, at, side_by_side
from assay.chains.evm.trie import EMPTY_ROOT, TrieProofs, decode_list, decode_number, number
from assay.chains.interface import Balance, SnapshotBlock
from assay.chains.jsonrpc import RefusedError
from assay.config import Chain, Token
from assay.errors import ConfigError

METHOD = "eth_getProof"
LAYOUTS = ("solidity", "vyper")

_MOST_KEYS = 1000  # of one call: go-ethereum, Erigon and Base refuse more than 1,024, others more than 1,000
_ACCOUNT_FIELDS = 4  # nonce, balance, storage root, code hash
_Key = tuple[str, str]  # address, asset


@dataclass(frozen=True)
class Account:
    """A proven account.

    Attributes:
        nonce: Transactions sent, or contracts created.
        balance: Base units of the native asset.
        storage_root: Root of the trie of its storage.
        code_hash: Keccak-256 of its code.
    """

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes


def slot_key(holder: str, position: int, layout: str) -> str:
    """Return the storage key of a holder's entry in a mapping from addresses.

    Args:
        holder: Address.
        position: Slot of the mapping itself.
        layout: One of `LAYOUTS`.
    """
    key, slot = bytes.fromhex(holder[2:]).rjust(32, b"\0"), position.to_bytes(32, "big")
    return "0x" + keccak(slot + key if layout == "vyper" else key + slot).hex()


def proven_account(proofs: TrieProofs, state_root: bytes, address: str, answer: object) -> Account | None:
    """Verify the account of an `eth_getProof` answer, and return it, or None where there provably is none.

    Raises:
        AnswerError: The proof does not hold, or the answer says something else than it proves.
    """
    if not isinstance(answer, dict) or str(answer.get("address")).lower() != address.lower():
        raise AnswerError(f"the answer is not one about {address}")
    content = proofs.value(state_root, bytes.fromhex(address[2:]), answer.get("accountProof"))
    account = None if content is None else _account(content)
    said = quantity(answer.get("nonce")), quantity(answer.get("balance"))
    if said != ((account.nonce, account.balance) if account else (0, 0)):
        raise AnswerError(f"the account's nonce and balance are said to be {said} and the proof has other ones")
    # Of an account that isn't there, servers give hashes of nothing, or zeros.
    if account and [answer.get("storageHash"), answer.get("codeHash")] != [
        "0x" + account.storage_root.hex(),
        "0x" + account.code_hash.hex(),
    ]:
        raise AnswerError("the account's storage or code is said to have another hash than the proof has")
    return account


def proven_values(proofs: TrieProofs, storage_root: bytes, keys: Sequence[str], answer: Mapping[str, Any]) -> list[int]:
    """Verify the storage slots of an `eth_getProof` answer, and return their values in the keys' order; an empty slot is 0.

    Raises:
        AnswerError: A proof does not hold, or the answer says something else than it proves.
    """
    slots = answer.get("storageProof")
    if not isinstance(slots, list) or len(slots) != len(keys):
        raise AnswerError(f"the answer does not prove the {len(keys)} slots that were asked")
    values = []
    for key, slot in zip(keys, slots, strict=True):
        if not isinstance(slot, dict) or quantity(slot.get("key")) != int(key, 16):
            raise AnswerError(f"the slot {key} was asked and another one was given")
        content = proofs.value(storage_root, bytes.fromhex(key[2:]), slot.get("proof"))
        value = 0 if content is None else decode_number(content, f"slot {key}")
        if value != quantity(slot.get("value")):
            raise AnswerError(f"the slot {key} is said to hold {quantity(slot.get('value'))} and the proof has {value}")
        values.append(value)
    return values


class Prover:
    """Puts proofs in the place of the answers that balances rest on.

    Args:
        rpc: The node; open while proofs are made.
        scales: By asset: the asset's base units to one of the chain's.

    Raises:
        ConfigError: The chain's blocks or accounts are of another form, so nothing could be proven.
    """

    def __init__(self, rpc: EvmRpc, scales: Mapping[str, int]) -> None:
        check_chain(rpc.chain)
        self._rpc = rpc
        self._scales = scales

    async def prove(self, block: SnapshotBlock, balances: Sequence[Balance]) -> list[Balance]:
        """Return the balances with their proofs as evidence; those of tokens without a plain slot as they are.

        Raises:
            SourceMismatchError: A proof does not hold or proves another amount, or the node gives none.
            SourceUnavailableError: No full answer.
        """
        state_root = await self._state_root(block)
        proven = await side_by_side(self._questions(block, state_root, balances), self._rpc.workers)
        evidence = {key: digest for digests in proven for key, digest in digests.items()}
        return [
            Balance(address=balance.address, asset=balance.asset, amount=balance.amount, evidence=evidence[key])
            if (key := (balance.address, balance.asset)) in evidence
            else balance
            for balance in balances
        ]

    def _questions(
        self, block: SnapshotBlock, state_root: bytes, balances: Sequence[Balance]
    ) -> Iterator[Callable[[], Awaitable[dict[_Key, str]]]]:
        """Give the questions, each of which returns digests by address and asset."""
        size = self._rpc.source.batch_size
        by_asset: dict[str, list[Balance]] = {}
        for balance in balances:
            by_asset.setdefault(balance.asset, []).append(balance)
        for asset, group in by_asset.items():
            token = self._rpc.chain.tokens.get(asset)
            if token is None:
                yield from (partial(self._prove_accounts, block, state_root, part) for part in _parts(group, size))
            elif token.balance_slot >= 0:
                parts = _parts(group, min(size, _MOST_KEYS))
                yield from (partial(self._prove_slots, block, state_root, token, part) for part in parts)

    async def _state_root(self, block: SnapshotBlock) -> bytes:
        about = f"block {block.height}"
        header = await self._rpc.header(block.height)
        if header.hash != block.hash:
            raise self._rpc.mismatch(f"it has {header.hash} at this height now and {block.hash} was the snapshot block", about)
        self._rpc.record_header(header)
        return self._rpc.parsed(lambda _: header.state_root, header.raw, about)

    async def _prove_accounts(self, block: SnapshotBlock, state_root: bytes, balances: Sequence[Balance]) -> dict[_Key, str]:
        calls = [(METHOD, [balance.address, [], at(block)]) for balance in balances]
        try:
            answers = await self._rpc.batch(calls, about=lambda position: _words(balances[position]))
        except RefusedError as error:
            raise self._no_proofs(error, f"proofs of {len(balances)} accounts") from error
        await asyncio.sleep(0)  # the next request goes out before these answers are verified
        digests, proofs = {}, TrieProofs()
        for balance, (method, params), answer in zip(balances, calls, answers, strict=True):
            try:
                account = proven_account(proofs, state_root, balance.address, answer)
            except AnswerError as error:
                raise self._rpc.mismatch(str(error), _words(balance)) from error
            self._compare(balance, account.balance if account else 0)
            digests[balance.address, balance.asset] = self._rpc.archive.record(method, params, answer)
        return digests

    async def _prove_slots(self, block: SnapshotBlock, state_root: bytes, token: Token, balances: Sequence[Balance]) -> dict[_Key, str]:
        about = f"proof of {len(balances)} {token.asset} balances from {balances[0].address}"
        keys = [slot_key(balance.address, token.balance_slot, token.slot_layout) for balance in balances]
        params = [token.contract, keys, at(block)]
        try:
            answer = await self._rpc.call(METHOD, params, about=about)
        except RefusedError as error:
            raise self._no_proofs(error, about) from error
        await asyncio.sleep(0)  # as above
        proofs = TrieProofs()
        try:
            account = proven_account(proofs, state_root, token.contract, answer)
            values = proven_values(proofs, account.storage_root if account else EMPTY_ROOT, keys, answer)
        except AnswerError as error:
            raise self._rpc.mismatch(str(error), about) from error
        mask = (1 << token.balance_bits) - 1
        for balance, value in zip(balances, values, strict=True):
            self._compare(balance, value & mask)
        digest = self._rpc.archive.record(METHOD, params, answer)
        return {(balance.address, balance.asset): digest for balance in balances}

    def _compare(self, balance: Balance, amount: int) -> None:
        if (proven := amount * self._scales[balance.asset]) != balance.amount:
            raise self._rpc.mismatch(
                f"it says {balance.amount} and proves {proven} base units",
                _words(balance),
                "check the node; if it is a token, it may rebase or have a new implementation: look for its slot again "
                "(`assay registry slot`), and correct balance_slot in chains.toml",
            )

    def _no_proofs(self, error: RefusedError, about: str) -> RefusedError:
        refused = RefusedError(
            f"it gives no proof: {error.problem}",
            subject=self._rpc.subject(about),
            next_step="use a node that answers eth_getProof and keeps the snapshot block's state, lower its batch_size, or set proofs = false",
        )
        refused.code, refused.answer = error.code, error.answer
        return refused


def check_chain(chain: Chain) -> None:
    """Make sure that proofs of a chain can be checked.

    Raises:
        ConfigError: Its blocks or accounts are of another form.
    """
    if chain.chain_id in UNHASHED_CHAINS | AVALANCHE_CHAINS:
        raise ConfigError(
            "its blocks or accounts are not of the form that Ethereum's proofs are for",
            subject=f"chain {chain.name}, chain id {chain.chain_id}",
            next_step="set proofs = false in chains.toml",
        )


def _account(content: bytes) -> Account:
    nonce, balance, storage_root, code_hash = decode_list(content, _ACCOUNT_FIELDS, "the account")
    return Account(number(nonce, "the nonce"), number(balance, "the balance"), storage_root, code_hash)


def _parts(balances: Sequence[Balance], size: int) -> Iterator[Sequence[Balance]]:
    return (balances[start : start + size] for start in range(0, len(balances), size))


def _words(balance: Balance) -> str:
    return f"{balance.asset} balance of {balance.address}"
