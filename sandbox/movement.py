"""Wallets whose keepers cannot sign texts: on request they send an amount to themselves instead. Format: docs/formats/address_ownership.md.

Their custody software makes transactions and nothing else. Text and amount are put together here by hand from the format's page, so that tests hold
two implementations against each other. No balance changes by it: fees are zero in the sandbox.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import rlp
from coincurve import PrivateKey
from eth_hash.auto import keccak

WALLETS = {"bitcoin": 25, "arbitrum": 25}
"""Number of the wallet, by chain."""

NOTICE = timedelta(days=1)
"""How long before an attested moment the block lies that the request names."""

FIRST_LINE = "I send an amount from this address to itself for a reserve attestation."
_EIP155 = 35
_PLAIN_TRANSFER = 21_000  # gas


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks for movements, and of which wallet.

    Attributes:
        entity: Of the reports.
        series: Of the reports.
        chain: The wallet's.
        index: Number of the wallet.
    """

    entity: str
    series: str
    chain: str
    index: int

    def amount(self, moment: datetime, address: str, height: int, block_hash: str) -> int:
        """Return the hundred-millionths of a coin that the wallet is asked to send.

        Args:
            moment: That will be attested.
            address: The wallet's.
            height: Of the last block `NOTICE` before it.
            block_hash: Of that block, as people write it.
        """
        lines = [
            FIRST_LINE,
            f"entity: {self.entity}",
            f"series: {self.series}",
            f"as of: {moment:%Y-%m-%dT%H:%M:%SZ}",
            f"chain: {self.chain}",
            f"address: {address}",
            f"block: {height} {block_hash}",
        ]
        digest = hashlib.sha256("\n".join(lines).encode()).digest()
        return 10_000 + int.from_bytes(digest[:8], "big") % 1_000_000


def sign_transfer(key: bytes, *, chain_id: int, nonce: int, receiver: str, value: int) -> tuple[str, str]:
    """Return a signed transaction of an EVM account (EIP-155) and its hash, both in hexadecimal. Gas is free."""
    fields = [nonce, 0, _PLAIN_TRANSFER, bytes.fromhex(receiver[2:]), value, b""]
    signature = PrivateKey(key).sign_recoverable(keccak(rlp.encode([*fields, chain_id, 0, 0])), hasher=None)
    r, s = (int.from_bytes(signature[start : start + 32], "big") for start in (0, 32))
    raw = rlp.encode([*fields, signature[64] + 2 * chain_id + _EIP155, r, s])
    return "0x" + raw.hex(), "0x" + keccak(raw).hex()
