"""Texts signed with the keys of the sandbox's Bitcoin-family wallets, as hardware and software wallets sign them.

- Signed messages (BIP-137, https://github.com/bitcoin/bips/blob/master/bip-0137.mediawiki): 65 bytes in base64, of which the first tells the kind of
  address; Electrum (https://github.com/spesmilo/electrum/blob/master/electrum/bitcoin.py) has the P2PKH ones for all kinds. Keepers of a
  multisig sign one message each and add the script.
- BIP-322 (https://github.com/bitcoin/bips/blob/master/bip-0322.mediawiki): a transaction that spends an output of the address which holds the text and
  stands in no block. `smp`: its witness; `ful`: all of it, for what has no witness. For Bitcoin alone.
"""

from __future__ import annotations

import base64

from sandbox.bitcoin_keys import Coin, Output, Transaction, Wallet, compact, push, sha256d, tagged_hash, with_length

_FIRST_LINES = {"bitcoin": b"Bitcoin Signed Message:\n", "litecoin": b"Litecoin Signed Message:\n"}
_COMPRESSED_KEY, _NESTED, _NATIVE = 31, 35, 39
_HEADERS = {"p2sh_p2wpkh": _NESTED, "p2wpkh": _NATIVE, "p2wsh_multisig": _NATIVE}
_NOWHERE = 0xFFFFFFFF


def sign_message(wallet: Wallet, chain: str, text: str, *, electrum: bool = False) -> tuple[str, ...]:
    """Return signed messages: one, or for a multisig one of each of two keepers.

    Args:
        wallet: Any but Taproot.
        chain: `bitcoin` or `litecoin`.
        text: What to sign.
        electrum: Write the first byte of compressed keys whatever the kind of address.
    """
    header = _COMPRESSED_KEY if electrum else _HEADERS.get(wallet.kind, _COMPRESSED_KEY)
    signatures = wallet.sign_recoverable(sha256d(with_length(_FIRST_LINES[chain]) + with_length(text.encode())))
    return tuple(base64.b64encode(bytes([header + signature[64]]) + signature[:64]).decode() for signature in signatures)


def sign_bip322(wallet: Wallet, text: str) -> str:
    """Return the simple form for an address with a witness, and the full form for any other."""
    signed = _to_sign(wallet, text).sign()
    ((_, witness),) = signed.unlocking
    if witness:
        return "smp" + base64.b64encode(compact(len(witness)) + b"".join(map(with_length, witness))).decode()
    return "ful" + base64.b64encode(signed.serialise()).decode()


def _to_sign(wallet: Wallet, text: str) -> Transaction:
    """Return the transaction that BIP-322 calls `to_sign`, which spends the one that it calls `to_spend`."""
    locked = Output(0, wallet.script)
    holds = b"\x00" + push(tagged_hash("BIP0322-signed-message", text.encode()))
    to_spend = Transaction([Coin(bytes(32), _NOWHERE, locked, wallet)], [locked], [(holds, [])], version=0, sequence=0)
    return Transaction([Coin(to_spend.txid(), 0, locked, wallet)], [Output(0, b"\x6a")], version=0, sequence=0)
