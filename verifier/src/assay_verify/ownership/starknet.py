"""Signatures of Starknet accounts: ECDSA on the STARK curve over typed data.

`starknet_okx`: SNIP-12 typed data, revision 0 (https://github.com/starknet-io/SNIPs/blob/main/SNIPS/snip-12.md): domain
`StarkNetDomain(name:felt,version:felt,chainId:felt)` with `OKX POR MESSAGE`, 1 and SN_MAIN, and `Message(contents:felt)` with the text, as a large
exchange's lists have it (https://github.com/okx/proof-of-reserves/blob/main/common/stark.go). A felt holds at most 31 letters, so longer texts, every
challenge of ours among them, cannot be signed so.

The signature is r‖s in hexadecimal, 32 bytes each; `script` is the public key, a point's x. Either s is as good as its mirror image on Starknet, and
so it is here: nothing says that it must be low.

**The address** is a hash of the class of the account contract, its constructor's arguments and a salt
(https://docs.starknet.io/architecture/accounts/#deployment). It is derived for accounts whose first owner is the key and whose class is one of
`CLASSES`. For any other, the chain has to be asked which key the account has (`keys_of`, 32 bytes), or the statement is not verified.

Curve and Pedersen hash: https://docs.starknet.io/build/starknet-by-example/advanced/hash-functions, constants of
https://github.com/starkware-libs/cairo-lang (`pedersen_params.json`). By hand, because no well-kept package for it needs no compiler. It is not fast:
some ten signatures a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from assay_verify.digests import keccak256
from assay_verify.ownership.chain_state import KeysOf
from assay_verify.ownership.encodings import hexadecimal, only_signature, text_of
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from assay_verify.ownership.stark_curve import FIELD, pedersen_all, verify

_FELT_BYTES, _SIGNATURE_BYTES = 32, 64
_LONGEST_TEXT = 31
_MOST_ADDRESS = 2**251
_INITIALIZE_ARGUMENTS = 2


def short_string(text: bytes) -> int:
    """Return up to 31 letters of ASCII as a number of the field."""
    return int.from_bytes(text, "big")


def selector(name: str) -> int:
    """Return the lowest 250 bits of a name's Keccak-256."""
    return int.from_bytes(keccak256(name.encode()), "big") & (1 << 250) - 1


@dataclass(frozen=True, slots=True)
class AccountClass:
    """How an account contract is deployed.

    Attributes:
        name: For people.
        proxy: Class hash of what is deployed.
        implementation: Class hash of what the proxy calls; 0 where there is no proxy.
    """

    name: str
    proxy: int
    implementation: int = 0

    def address(self, key: int) -> int:
        """Return the address of a key's account, deployed by itself with the key as salt."""
        arguments: tuple[int, ...] = (key, 0)
        if self.implementation:
            arguments = (self.implementation, selector("initialize"), _INITIALIZE_ARGUMENTS, *arguments)
        parts = (short_string(b"STARKNET_CONTRACT_ADDRESS"), 0, key, self.proxy, pedersen_all(arguments))
        return pedersen_all(parts) % (_MOST_ADDRESS - 256)


CLASSES = (
    AccountClass(
        "OKX, Cairo 0",
        0x3530CC4759D78042F1B543BF797F5F3D647CDE0388C33734CF91B7F7B9314A9,
        0x309C042D3729173C7F2F91A34F04D8C509C1B292D334679EF1AABF8DA0899CC,
    ),
    AccountClass(
        "Argent, Cairo 0",
        0x25EC026985A3BF9D0CC1FE17326B245DFDC3FF89B8FDE106542A3EA56C5A918,
        0x33434AD846CDD5F23EB73FF09FE6FDDD568284A0FB7D1BE20EE482F044DABE2,
    ),
    AccountClass("OKX, Cairo 1", 0x1C0BB51E2CE73DC007601A1E7725453627254016C28F118251A71BBB0507FCB),
    AccountClass("Argent, Cairo 1", 0x1A736D6ED154502257F02B1CCDF4D9D1089F80811CD6ACAD48E6B6A9D1F2003),
    AccountClass("Argent, Cairo 1, 0.3.1", 0x29927C8AF6BCCF3F6FDA035981E765A7BDBF18A2DC0D630494F8758AA908E2B),
)
"""Class hashes as https://github.com/okx/go-wallet-sdk/blob/main/coins/starknet/account_constants.go has them."""

_DOMAIN = pedersen_all(
    (selector("StarkNetDomain(name:felt,version:felt,chainId:felt)"), short_string(b"OKX POR MESSAGE"), 1, short_string(b"SN_MAIN"))
)
_MESSAGE = selector("Message(contents:felt)")


@lru_cache(maxsize=4096)
def message_hash(text: bytes, address: int) -> int:
    """Return the number that is signed."""
    message = pedersen_all((_MESSAGE, short_string(text)))
    return pedersen_all((short_string(b"StarkNet Message"), _DOMAIN, address, message))


def _require_felt(text: bytes) -> None:
    """Raise unless the text is one that a felt writes, and is written as nothing else: digits would be taken for a number."""
    if not 0 < len(text) <= _LONGEST_TEXT or not text.isascii() or not text.decode().isprintable():
        raise UnsupportedError(f"only a text of 1 to {_LONGEST_TEXT} printable letters of ASCII fits into a felt")
    if text.isdigit() or text.startswith(b"0x"):
        raise UnsupportedError(
            "a text of digits alone, or one that begins with 0x, is taken for a number by some wallets and for letters by others"
        )


@dataclass(slots=True)
class Starknet:
    """The scheme above.

    Attributes:
        keys_of: The chain's word on an account's key; None where it was not asked.
        name: As above.
        specification: As above.
    """

    keys_of: KeysOf | None = None
    name: str = "starknet_okx"
    specification: str = "https://github.com/starknet-io/SNIPs/blob/main/SNIPS/snip-12.md"

    def verify(self, statement: Statement) -> Verified:
        """Check that the key signed and that the account is the key's; see `interface.Scheme`."""
        text = text_of(statement)
        _require_felt(text)
        address, key = _felt(statement.address, "the address"), _felt(statement.script, "the public key")
        signature = hexadecimal(only_signature(statement), _SIGNATURE_BYTES, "the signature")
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        if not verify(message_hash(text, address), r, s, key):
            raise NotVerifiedError("the signature is not by this key over this text")
        return Verified(scheme=self.name, keys=(f"{key:064x}",), note=self._bound(key, address, statement.address))

    def asking(self, keys_of: KeysOf | None) -> Starknet:
        """Return the scheme with the chain's word on an account's key."""
        return replace(self, keys_of=keys_of)

    def _bound(self, key: int, address: int, text: str) -> str:
        if any(known.address(key) == address for known in CLASSES):
            return ""
        if self.keys_of is None:
            raise UnsupportedError(
                "the signature holds; the account is of no class known here, so the chain has to be asked which key it has"
            )
        if key.to_bytes(_FELT_BYTES, "big") not in self.keys_of(text):
            raise NotVerifiedError("the signature holds, and the account has another key at the block")
        return "that the account has this key is the chain's state at the block"


def _felt(text: str, name: str) -> int:
    """Return a number of the field, written as 0x and up to 64 digits in lower case."""
    digits = text[2:]
    if not text.startswith("0x") or not 0 < len(digits) <= 2 * _FELT_BYTES or set(digits) - set("0123456789abcdef"):
        raise NotVerifiedError(f"{name} is not 0x and up to 64 hexadecimal digits")
    number = int(digits, 16)
    if number >= FIELD:
        raise NotVerifiedError(f"{name} is no number of the field")
    return number


STARKNET = Starknet()
