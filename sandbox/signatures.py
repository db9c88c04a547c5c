"""The keepers of the sandbox's wallets: they take the texts that Assay wants signed, sign them, and hand the file back.

Every way of signing that the sandbox's chains have is there, by the wallet's number. As in any custodian's first report, not all of it is
fresh: on each chain one wallet is a third party's, which signs nothing, and one is kept so cold that there is only a constant text from years ago.
On two chains there is one whose keeper cannot sign, and moves an amount instead (`movement.py`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sandbox import movement, signatures_bitcoin, signatures_evm
from sandbox.bitcoin_keys import Wallet
from sandbox.evm_accounts import private_key
from sandbox.scenario import WalletPlan

COLUMNS = ("chain", "address", "scheme", "message", "signatures", "script", "owners")
"""Of the files, which are RFC 4180 in UTF-8; several signatures or owners of a wallet stand on lines of their own inside the cell."""

STATIC_TEXT = "I am a Sandbox Custodian address"
STATIC = 10
"""The number of the wallet, on each chain, for which this text was signed."""
UNSIGNED = 11
"""The number of the wallet, on each chain, for which nobody signs."""

BIP137, BITCOIN_MULTISIG, BIP322 = "bip137", "bitcoin_multisig", "bip322"
MOVEMENT = "movement"
EIP191, EIP191_HASHED, EIP712, EIP1271, EOA_OWNERS = "eip191", "eip191_hashed", "eip712", "eip1271", "eoa_owners"

_EOA_WAYS = {3: EIP712, 6: EIP191_HASHED}
"""By the last digit of the number; all others are EIP-191."""
_OWNERS_SIGN = 14
"""The remainder by 20 of contract wallets whose owners sign in their place; those with 7 sign typed data, the others personal messages."""
_TYPED = 7


@dataclass(frozen=True)
class Signed:
    """What was signed with, as the file has it.

    Attributes:
        scheme: Name of the signature scheme.
        signatures: In its text form.
        script: Of a multisig whose keepers signed messages.
        owners: Of a contract wallet, where they signed in its place.
    """

    scheme: str
    signatures: tuple[str, ...]
    script: str = ""
    owners: tuple[str, ...] = ()


def sign(
    challenges: Path,
    signed: Path,
    plans: Iterable[WalletPlan],
    addresses: Mapping[str, Mapping[int, str]],
    movements: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Sign every text of a folder's files and write one file with what was signed.

    Args:
        challenges: Folder with one CSV a chain.
        signed: The file to write.
        plans: The wallets.
        addresses: Their addresses by chain and number.
        movements: By chain, the transaction of the wallet that is asked to move an amount.

    Raises:
        ValueError: A file is not of the layout, or asks for an address that no planned wallet has.
    """
    known = {(plan.chain, addresses[plan.chain][plan.index]): plan for plan in plans}
    with signed.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for path in sorted(challenges.glob("*.csv")):
            for chain, address, message in _read(path):
                plan = known.get((chain, address))
                if plan is None:
                    raise ValueError(f"{path}: {address} on {chain} is no wallet of the sandbox")
                if plan.index == UNSIGNED:
                    continue
                if message.startswith(movement.FIRST_LINE):
                    writer.writerow([chain, address, MOVEMENT, message, movements[chain], "", ""])
                    continue
                text = STATIC_TEXT if plan.index == STATIC else message
                done = sign_text(plan, text)
                writer.writerow([chain, address, done.scheme, text, "\n".join(done.signatures), done.script, "\n".join(done.owners)])


def sign_text(plan: WalletPlan, text: str) -> Signed:
    """Sign a text in the way of the wallet."""
    if plan.kind == "eoa":
        return _sign_as_eoa(plan, text)
    if plan.kind == "contract":
        return _sign_as_contract(plan, text)
    return _sign_as_bitcoin(plan, text)


def _read(path: Path) -> Iterator[tuple[str, str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file, strict=True)
        if tuple(header := next(reader, [])) != COLUMNS:
            raise ValueError(f"{path}: its header is {','.join(header)!r}")
        for chain, address, _, message, *_ in reader:
            yield chain, address, message


def _sign_as_bitcoin(plan: WalletPlan, text: str) -> Signed:
    """Sign a third of Bitcoin's wallets, and Taproot, with BIP-322; another third as BIP-137 has it; and all others as Electrum does."""
    wallet = Wallet(plan.chain, plan.index, plan.kind)
    turn = plan.index % 3
    if plan.chain == "bitcoin" and (turn == 0 or plan.kind == "p2tr"):
        return Signed(BIP322, (signatures_bitcoin.sign_bip322(wallet, text),))
    messages = signatures_bitcoin.sign_message(wallet, plan.chain, text, electrum=turn != 1)
    if plan.kind.endswith("multisig"):
        return Signed(BITCOIN_MULTISIG, messages, script=wallet.multisig.hex())
    return Signed(BIP137, messages)


def _sign_as_eoa(plan: WalletPlan, text: str) -> Signed:
    scheme = _EOA_WAYS.get(plan.index % 10, EIP191)
    digest = {EIP191: signatures_evm.personal, EIP191_HASHED: signatures_evm.hashed, EIP712: signatures_evm.typed}[scheme](text)
    return Signed(scheme, (_text(signatures_evm.sign(private_key(plan.chain, plan.index), digest)),))


def _sign_as_contract(plan: WalletPlan, text: str) -> Signed:
    chain, index, turn = plan.chain, plan.index, plan.index % 20
    if turn == _OWNERS_SIGN:
        owners = signatures_evm.signing_owners(chain, index)
        signatures = tuple(_text(signatures_evm.sign(key, signatures_evm.personal(text))) for _, key in owners)
        return Signed(EOA_OWNERS, signatures, owners=tuple(address for address, _ in owners))
    digest = signatures_evm.typed(text) if turn == _TYPED else signatures_evm.personal(text)
    return Signed(EIP1271, (_text(signatures_evm.sign_for_contract(chain, index, digest)),))


def _text(signature: bytes) -> str:
    return "0x" + signature.hex()
