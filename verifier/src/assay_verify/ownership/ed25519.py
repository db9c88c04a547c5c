"""ed25519 signatures (RFC 8032, https://www.rfc-editor.org/rfc/rfc8032), and what each chain makes of an ed25519 key.

- `ed25519`: over the text itself. This is what `signMessage` of most wallets signs.
- `ed25519_okx`: over `OKX Signed Message:`, a line feed, and the text, each behind its length, as a large exchange's lists do.

The key is the statement's `script`, 32 bytes in hexadecimal; where the address holds the key it may be left out. The XRP Ledger's keys have ED in
front. libsodium does the check (https://doc.libsodium.org/public-key_cryptography/public-key_signatures): it also refuses an S of the group's
order and above, keys and R of small order, and other spellings of a point, so that one signature cannot be turned into another.

Which key an address stands for is in `ed25519_accounts`. Where that is no function of the key but a matter of the chain's state (rotated keys, named
accounts), the chain must be asked: `keys_of` returns what signs for an account at the report's block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

from assay_verify.ownership.chain_state import KeysOf
from assay_verify.ownership.ed25519_accounts import KEY_BYTES, RULES, Rule
from assay_verify.ownership.encodings import hexadecimal, only_signature, text_of
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from assay_verify.ownership.native_ecdsa import okx_framed

SIGNATURE_BYTES = 64
_SR25519_MARK = 0x80
"""Set in the last byte of every sr25519 signature, never in one of ed25519, whose S is below 2^253."""


def plain(text: bytes) -> bytes:
    """Return the text as it is."""
    return text


@dataclass(slots=True)
class Ed25519:
    """One framing on one chain.

    Attributes:
        name: As above.
        rule: What an address of the chain has to do with a key.
        framed: What is signed, of a text.
        keys_of: The chain's word on who signs for an account; None where it was not asked.
        specification: As above.
    """

    name: str
    rule: Rule
    framed: Callable[[bytes], bytes]
    keys_of: KeysOf | None = None
    specification: str = "https://www.rfc-editor.org/rfc/rfc8032"

    def verify(self, statement: Statement) -> Verified:
        """Check that the key signed and that the address is the key's; see `interface.Scheme`."""
        key = self._key(statement)
        signature = hexadecimal(only_signature(statement), SIGNATURE_BYTES, "the signature")
        try:
            crypto_sign_open(signature + self.framed(text_of(statement)), key)
        except (CryptoError, ValueError):
            if self.rule.sr25519 and signature[-1] & _SR25519_MARK:
                raise UnsupportedError("the signature is one of sr25519 (Schnorr on Ristretto), which nothing here checks") from None
            raise NotVerifiedError("the signature is not by this key over this text") from None
        return Verified(scheme=self.name, keys=(key.hex(),), note=self._bound(key, statement.address))

    def asking(self, keys_of: KeysOf | None) -> Ed25519:
        """Return the scheme with the chain's word on who signs for an account."""
        return replace(self, keys_of=keys_of)

    def _key(self, statement: Statement) -> bytes:
        if statement.script:
            text = statement.script
            if self.rule.mark:
                if not text.upper().startswith(self.rule.mark):
                    raise NotVerifiedError(f"the public key does not begin with {self.rule.mark}")
                text = text[len(self.rule.mark) :]
            return hexadecimal(text, KEY_BYTES, "the public key")
        if self.rule.held is None:
            raise NotVerifiedError("the public key is missing: an address of this chain does not hold it")
        return self.rule.held(statement.address)

    def _bound(self, key: bytes, address: str) -> str:
        """Return what to say about an address that is a key's; raise where it isn't."""
        if self.rule.matches(key, address):
            return ""
        if self.rule.authority is None or not self.rule.may_be_chains(address):
            raise NotVerifiedError("the signature holds, and the address is not the one of its key")
        if self.keys_of is None:
            if self.rule.named:
                raise UnsupportedError(f"{address} does not follow from a key: the chain has to be asked which keys sign for it")
            raise NotVerifiedError(
                "the signature holds, and the address is not the one of its key; where the account's key was rotated, "
                "the chain has to be asked which key signs for it now"
            )
        if self.rule.authority(key) not in self.keys_of(address):
            raise NotVerifiedError(
                "the signature holds, and neither the address nor the chain's state at the block says that its key is the account's"
            )
        return "that this key signs for the account is the chain's state at the block; it does not follow from the address"


def _pair(rule: str) -> tuple[Ed25519, Ed25519]:
    return Ed25519("ed25519", RULES[rule], plain), Ed25519("ed25519_okx", RULES[rule], okx_framed)


SOLANA, SOLANA_OKX = _pair("solana")
APTOS, APTOS_OKX = _pair("aptos")
SUI, SUI_OKX = _pair("sui")
TON, TON_OKX = _pair("ton")
POLKADOT, POLKADOT_OKX = _pair("polkadot")
CARDANO, CARDANO_OKX = _pair("cardano")
NEAR, NEAR_OKX = _pair("near")
STELLAR, STELLAR_OKX = _pair("stellar")
RIPPLE, RIPPLE_OKX = _pair("ripple")
HEDERA, HEDERA_OKX = _pair("hedera")
