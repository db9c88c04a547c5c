"""What contracts answered at the snapshot block, as a publication's evidence has it. Format: docs/formats/evidence.md.

A contract wallet's signature is what the contract says it is. Offline, its word is the archived answer of the chain's first source: as true as that
source; a node of one's own says the same or does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assay_verify.findings import MalformedError
from assay_verify.ownership.chain_state import Contracts, RevertedError
from assay_verify.ownership.interface import UnsupportedError

if TYPE_CHECKING:
    from assay_verify.facts import Chain

_SUFFIX = ".jsonl.zst"
NOTE = "a contract's word, as the evidence has it: ask a node of your own"


@dataclass(frozen=True, kw_only=True)
class ArchivedContracts:
    """A chain's contracts at its snapshot block.

    Attributes:
        block_hash: Of the block.
        answers: By address in lower case and call data in hexadecimal: what was answered, None where the call was reverted.
        codes: By address in lower case.
    """

    block_hash: str
    answers: Mapping[tuple[str, str], bytes | None]
    codes: Mapping[str, bytes]

    def contracts(self) -> Contracts:
        """Return them in the form that schemes ask for."""
        return Contracts(call=self._call, code=self._code, block_hash=self.block_hash)

    def _call(self, address: str, data: bytes, _block: str) -> bytes:
        key = (address.lower(), "0x" + data.hex())
        if key not in self.answers:
            raise UnsupportedError(f"what {address} answered is not in the evidence")
        answer = self.answers[key]
        if answer is None:
            raise RevertedError(address)
        return answer

    def _code(self, address: str, _block: str) -> bytes:
        if address.lower() not in self.codes:
            raise UnsupportedError(f"the code of {address} is not in the evidence")
        return self.codes[address.lower()]


def place(chain: Chain) -> str:
    """Return where a chain's answers stand in a publication."""
    return f"evidence/{chain.name}/recheck/{chain.sources[0]}{_SUFFIX}"


def read(folder: Path, chain: Chain, block_hash: str) -> ArchivedContracts:
    """Read what an EVM chain's contracts answered.

    Args:
        folder: The publication.
        chain: The chain.
        block_hash: Of its snapshot block.

    Raises:
        MalformedError: The archive cannot be read, or a line of it has not its form.
    """
    # Worker processes load this module for its class, and nothing else of Parquet's library.
    from assay_verify import archives  # noqa: PLC0415

    answers: dict[tuple[str, str], bytes | None] = {}
    codes: dict[str, bytes] = {}
    for _, exchange in archives.exchanges([folder / place(chain)]):
        try:
            if exchange.method == "eth_call" and exchange.params[1]["blockHash"] == block_hash:
                key = (exchange.params[0]["to"].lower(), exchange.params[0]["data"])
                answers[key] = None if exchange.refused else _bytes(exchange.result)
            elif exchange.method == "eth_getCode" and exchange.params[1]["blockHash"] == block_hash:
                codes[exchange.params[0].lower()] = _bytes(exchange.result)
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
            raise MalformedError(f"{place(chain)} has an {exchange.method} line that is none") from error
    return ArchivedContracts(block_hash=block_hash, answers=answers, codes=codes)


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError(text)
    return bytes.fromhex(text[2:])
