"""Contract wallets on EVM chains: what the contract itself says of a signature, and what its owners say.

- `eip1271` (https://eips.ethereum.org/EIPS/eip-1271): the contract is asked `isValidSignature(hash, signature)` in the state of the report's block. It
  has to answer with exactly the 32 bytes that begin with 1626ba7e and go on with zeros. The hash is one of those in `evm`: personal message,
  typed data, hashed form. Signatures may have any length, none included (`0x`: a Safe looks up what its owners approved on chain).
  Where there is no code at the block there was no wallet yet, and what was deployed later says nothing about that block.
- ERC-6492 (https://eips.ethereum.org/EIPS/eip-6492) wraps a signature together with the call that would deploy the wallet. Where the wallet is
  deployed at the block, what is inside is checked as EIP-1271. Where it isn't, this verifier refuses to judge: it would have to run a
  deployment that never happened, by a factory that the signer chose, and some factories let anybody deploy anything to an address.
- `eoa_owners`: accounts that are said to own the contract signed in its place, the first signature by the first owner and so on. That they own
  it follows from nothing signed. A Safe (https://docs.safe.global/reference-smart-account) can be asked: `getOwners()` must have each of them and
  `getThreshold()` be met; then the note is gone. Anything else keeps the note.
  Lists of staked ether name a validator's key in the contract's place; that its withdrawals go to the owners isn't shown either.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay_verify.digests import keccak256
from assay_verify.ownership.chain_state import Contracts, RevertedError
from assay_verify.ownership.encodings import only_signature, text_of
from assay_verify.ownership.evm import EIP191, EIP191_HASHED, EIP712, eip55, eip191, eip191_hashed, eip712
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified

MAGIC = bytes.fromhex("1626ba7e") + bytes(28)
WRAPPED = bytes.fromhex("6492" * 16)
VALIDATOR_NOT_SHOWN = "the owners named in the list signed; that the validator's withdrawals go to them is not shown here"
NOT_SHOWN = "the owners named in the list signed; that they own the contract is not shown here"
_VALID = keccak256(b"isValidSignature(bytes32,bytes)")[:4]
_OWNERS = keccak256(b"getOwners()")[:4]
_THRESHOLD = keccak256(b"getThreshold()")[:4]
_WORD = 32
_ADDRESS_BYTES = 20
_VALIDATOR_LENGTH = 2 + 2 * 48
_DIGITS = frozenset("0123456789abcdef")
_MOST_BYTES = 1 << 16
_FORMS = (("personal message", eip191), ("typed data", eip712), ("hashed form", eip191_hashed))


@dataclass(slots=True)
class Eip1271:
    """A contract's own word, at a block.

    Attributes:
        contracts: The chain at the report's block.
        name: Published.
        specification: What it was written from.
    """

    contracts: Contracts
    name: str = "eip1271"
    specification: str = "https://eips.ethereum.org/EIPS/eip-1271"

    def verify(self, statement: Statement) -> Verified:
        """Ask the contract; see `interface.Scheme`."""
        address = contract_address(statement.address)
        signature = signature_bytes(only_signature(statement))
        deployed = bool(self.contracts.code(address, self.contracts.block_hash))
        if signature.endswith(WRAPPED):
            if not deployed:
                raise UnsupportedError(
                    "an ERC-6492 signature of a wallet that was not deployed at the block: deployments are not simulated here"
                )
            signature = _unwrapped(signature)
        if not deployed:
            raise NotVerifiedError(f"{address} had no code at the block: it is no contract wallet, or was deployed later")
        text = text_of(statement)
        for form, digest in _FORMS:
            if self._accepts(address, digest(text), signature):
                return Verified(scheme=self.name, keys=(), note=f"the contract accepts it as a {form} at block {self.contracts.block_hash}")
        raise NotVerifiedError("the contract does not accept the signature: its answer is not the magic value of EIP-1271")

    def _accepts(self, address: str, digest: bytes, signature: bytes) -> bool:
        padded = signature + bytes(-len(signature) % _WORD)
        data = _VALID + digest + _word(2 * _WORD) + _word(len(signature)) + padded
        try:
            return self.contracts.call(address, data, self.contracts.block_hash) == MAGIC
        except RevertedError:
            return False


@dataclass(slots=True)
class EoaOwners:
    """Owners' signatures in a contract's place.

    Attributes:
        contracts: The chain at the report's block; None where it is not asked.
        name: Published.
        specification: What it was written from.
    """

    contracts: Contracts | None = None
    name: str = "eoa_owners"
    specification: str = "https://github.com/okx/proof-of-reserves/blob/main/common/csv_verify.go"

    def verify(self, statement: Statement) -> Verified:
        """Check every owner's signature, and the contract's own list of owners where it can be asked; see `interface.Scheme`."""
        owners, signatures = statement.owners, statement.signatures
        if not owners or len(owners) != len(signatures):
            raise NotVerifiedError(f"{len(owners)} owners and {len(signatures)} signatures: there must be one signature by each owner")
        if len({owner.lower() for owner in owners}) != len(owners):
            raise NotVerifiedError("one owner is named twice")
        keys = tuple(
            _signer(Statement(coin=statement.coin, address=owner, message=statement.message, signatures=(signature,)))
            for owner, signature in zip(owners, signatures, strict=True)
        )
        return Verified(scheme=self.name, keys=keys, note=self._note(statement.address, owners))

    def _note(self, given: str, owners: tuple[str, ...]) -> str:
        if len(given) == _VALIDATOR_LENGTH and not set(given.removeprefix("0x")) - _DIGITS:
            return VALIDATOR_NOT_SHOWN
        address = contract_address(given)
        if self.contracts is None:
            return NOT_SHOWN
        if not self.contracts.code(address, self.contracts.block_hash):
            raise NotVerifiedError(f"{address} had no code at the block: there was no contract to own")
        found = _safe(self.contracts, address)
        if found is None:
            return NOT_SHOWN
        listed, threshold = found
        if strangers := [owner for owner in owners if owner.lower() not in listed]:
            raise NotVerifiedError(f"the contract does not count {', '.join(strangers)} among its owners at the block")
        if len(owners) < threshold:
            raise NotVerifiedError(f"{len(owners)} owners signed, and the contract wants {threshold}")
        return ""


def _signer(statement: Statement) -> str:
    problems = []
    for scheme in (EIP191_HASHED, EIP191, EIP712):
        try:
            return scheme.verify(statement).keys[0]
        except NotVerifiedError as error:
            problems.append(f"{scheme.name}: {error}")
    raise NotVerifiedError(f"owner {statement.address}: " + "; ".join(dict.fromkeys(problems)))


def _safe(contracts: Contracts, address: str) -> tuple[set[str], int] | None:
    """Return owners and threshold of a Safe; nothing where the contract answers as none would."""
    try:
        owners = contracts.call(address, _OWNERS, contracts.block_hash)
        threshold = contracts.call(address, _THRESHOLD, contracts.block_hash)
    except RevertedError:
        return None
    words = [owners[place : place + _WORD] for place in range(0, len(owners), _WORD)]
    if len(threshold) != _WORD or len(words) < 2 or int.from_bytes(words[0], "big") != _WORD:  # noqa: PLR2004 (offset and count)
        return None
    listed = words[2:]
    if int.from_bytes(words[1], "big") != len(listed) or any(len(word) != _WORD or any(word[:-_ADDRESS_BYTES]) for word in listed):
        return None
    wanted = int.from_bytes(threshold, "big")
    return ({f"0x{word[-_ADDRESS_BYTES:].hex()}" for word in listed}, wanted) if 0 < wanted <= len(listed) else None


def contract_address(address: str) -> str:
    """Return a contract's address in lower case.

    Raises:
        NotVerifiedError: It is not 0x and 40 digits, or its capitals are not those of EIP-55.
    """
    plain = address.lower()
    digits = plain[2:]
    if not address.startswith("0x") or len(digits) != 2 * _ADDRESS_BYTES or set(digits) - _DIGITS:
        raise NotVerifiedError(f"{address[:100]!r} is not an address of an EVM chain")
    if address not in (plain, eip55(bytes.fromhex(digits))):
        raise NotVerifiedError("the address's capitals are neither absent nor the checksum of EIP-55")
    return plain


def signature_bytes(text: str) -> bytes:
    """Return a contract's signature, of any length.

    Raises:
        NotVerifiedError: It is not hexadecimal, or absurdly long.
    """
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits) if len(digits) <= 2 * _MOST_BYTES else b""
    except ValueError:
        raw = b""
    if 2 * len(raw) != len(digits):
        raise NotVerifiedError("the signature is not written in hexadecimal, or has more than 65,536 bytes")
    return raw


def _unwrapped(signature: bytes) -> bytes:
    """Return the signature inside an ERC-6492 one: `abi.encode(address, bytes, bytes)` before the mark."""
    body = signature[: -len(WRAPPED)]
    start = int.from_bytes(body[2 * _WORD : 3 * _WORD], "big")
    length = int.from_bytes(body[start : start + _WORD], "big")
    inside = body[start + _WORD : start + _WORD + length]
    if len(body) < 3 * _WORD or start + _WORD > len(body) or len(inside) != length:
        raise NotVerifiedError("the signature ends like one of ERC-6492 and is not made like one")
    return inside


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD, "big")
