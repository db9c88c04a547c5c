"""Checking an EVM chain's balances by their EIP-1186 proofs, or by what archived answers say. Format: docs/formats/evidence.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assay_verify import evm
from assay_verify.archives import Exchange, exchanges
from assay_verify.evm_answers import EvmAnswers
from assay_verify.facts import NO_SLOT, Token
from assay_verify.findings import MalformedError, require
from assay_verify.verdicts import Balance, ChainRecord

_BLOCKS = {"eth_getBlockByNumber", "eth_getBlockByHash"}
_PROOF = "eth_getProof"


class EvmBalances:
    """The check of one chain.

    Args:
        record: Receives verdicts.
        headers: Archives that may hold the snapshot block's header.
    """

    def __init__(self, record: ChainRecord, headers: Sequence[Path]) -> None:
        self._record = record
        self._chain = record.facts
        self._header: evm.Header | None = None
        self._unproven = ""
        self._problem = "no archived header has the hash of the snapshot block"
        if self._chain.proofs:
            self._find_header(headers)

    def answer(self, exchange: Exchange, balances: Sequence[Balance]) -> None:
        """Check the balances that rest on one line."""
        claimed = [balance for balance in balances if self._claims(balance)]
        if exchange.method != _PROOF or not self._chain.proofs:
            self._without_proof(claimed, exchange)
            return
        try:
            proven = _Proven(exchange, self._usable_header())
        except MalformedError as error:
            for balance in claimed:
                self._record.failed(balance, str(error))
            return
        for balance in claimed:
            try:
                self._check(balance, proven)
            except MalformedError as error:
                self._record.failed(balance, str(error))

    def finish(self, path: Path) -> None:
        """Nothing waits for the end of an archive."""

    def conclude(self) -> None:
        """Nothing is left to say."""

    def _find_header(self, paths: Sequence[Path]) -> None:
        wanted = self._record.block["hash"]
        stated: evm.Header | None = None
        for _, exchange in exchanges(paths):
            raw = exchange.result
            if exchange.method in _BLOCKS and isinstance(raw, dict) and str(raw.get("hash")).lower() == wanted:
                try:
                    self._header = self._of_block(evm.header(raw, wanted))
                except evm.UnknownHeaderError as error:
                    self._unproven = str(error)
                    stated = self._stated(raw)
                except MalformedError as error:
                    self._fail(error)
        if self._header is None:
            self._header = stated
        elif self._unproven:
            # What the hash is made of is known after all, so whoever sent the other fields changed the header.
            self._record.check.failures.append(f"{self._chain.name}: {self._unproven}, and another line has a whole header")
            self._unproven = ""

    def _stated(self, raw: dict[str, Any]) -> evm.Header | None:
        try:
            return self._of_block(evm.stated_header(raw))
        except MalformedError as error:
            self._fail(error)
            return None

    def _fail(self, error: MalformedError) -> None:
        # Another source's header may be whole; the one that was changed is a failure all the same.
        self._record.check.failures.append(f"{self._chain.name}: {error}")
        self._problem = str(error)

    def _of_block(self, header: evm.Header) -> evm.Header:
        block = self._record.block
        if header.number != block["height"] or datetime.fromtimestamp(header.time, UTC) != block["time"]:
            raise MalformedError(f"the header of block {block['hash']} has another height or time than snapshot_blocks says")
        return header

    def _usable_header(self) -> evm.Header:
        if self._header is None:
            raise MalformedError(self._problem)
        return self._header

    def _claims(self, balance: Balance) -> bool:
        try:
            return self._record.claim(balance, evm.data(balance.address, 20))
        except MalformedError as error:
            self._record.failed(balance, str(error))
            return False

    def _without_proof(self, balances: Sequence[Balance], exchange: Exchange) -> None:
        """Check balances that rest on an answer: that they may, and that the answer says what the table says."""
        said: EvmAnswers | MalformedError
        try:
            said = EvmAnswers(exchange, self._record.block["hash"])
        except MalformedError as error:
            said = error
        for balance in balances:
            try:
                self._require_may_be_unproven(balance, exchange)
                self._require_snapshot(balance)
                if isinstance(said, MalformedError):
                    raise said
                amount = said.amount(self._chain, balance.asset, balance.address)
                self._record.compare(balance, amount, unproven=self._why_unproven(balance))
            except MalformedError as error:
                self._record.failed(balance, str(error))

    def _require_may_be_unproven(self, balance: Balance, exchange: Exchange) -> None:
        token = self._chain.tokens.get(balance.asset)
        if self._chain.proofs and (token is None or token.slot != NO_SLOT):  # somebody left the proof out
            raise MalformedError(f"its evidence is an answer to {exchange.method[:80]} and should be a proof")

    def _why_unproven(self, balance: Balance) -> str:
        if not self._chain.proofs:
            return "the chain's balances come without proofs, as answers of its servers"
        return f"{balance.asset} keeps balances in no plain slot ({self._chain.tokens[balance.asset].note or 'no reason is given'})"

    def _require_snapshot(self, balance: Balance) -> None:
        at_block = balance.read_height in (None, self._record.block["height"])
        require(at_block, "it is said to be of a later state, and its evidence is of the snapshot block")

    def _check(self, balance: Balance, proven: _Proven) -> None:
        self._require_snapshot(balance)
        if balance.asset == self._chain.asset:
            amount = proven.native(balance.address) * self._chain.scale(balance.asset, evm.NATIVE_DECIMALS)
            self._record.compare(balance, amount, unproven=self._unproven)
            return
        token = self._chain.tokens.get(balance.asset)
        if token is None or token.slot == NO_SLOT:
            raise MalformedError("its evidence is a proof, and chains.json names no slot for it")
        if proven.header.avalanche:
            self._record.archived(balance, "Avalanche alters the keys of slots, which this verifier does not follow")
            return
        amount = proven.token(token, balance.address) * self._chain.scale(balance.asset, token.decimals)
        self._record.compare(balance, amount, unproven=self._unproven)


class _Proven:
    """What one `eth_getProof` line proves: its account, and slots of it on demand."""

    def __init__(self, exchange: Exchange, header: evm.Header) -> None:
        params, result = exchange.params, exchange.result
        try:
            self._address = evm.data(params[0], 20)
            self._slots = {evm.data(key, 32): item["proof"] for key, item in zip(params[1], result["storageProof"], strict=True)}
            proof = result["accountProof"]
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise MalformedError("its evidence has not the form of an answer to eth_getProof") from error
        self.header = header
        self._account = evm.account(header, params[0], proof)

    def native(self, address: str) -> int:
        """Return the account's balance; an account that is not there holds nothing."""
        if evm.data(address, 20) != self._address:
            raise MalformedError("its evidence is a proof of another account")
        return 0 if self._account is None else self._account.balance

    def token(self, token: Token, address: str) -> int:
        """Return the balance in the contract's storage."""
        if evm.data(token.contract, 20) != self._address:
            raise MalformedError("its evidence is a proof of another contract")
        if self._account is None:
            raise MalformedError("its evidence proves that the token's contract is not there")
        key = evm.balance_key(token, address)
        if key not in self._slots:
            raise MalformedError(f"its evidence holds no proof of the slot 0x{key.hex()}, which follows from address and chains.json")
        return evm.slot_value(self._account.storage_root, key, self._slots[key]) & ((1 << token.bits) - 1)
