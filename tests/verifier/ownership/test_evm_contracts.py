"""Contract wallets, against a chain that is written here: `isValidSignature`, `getOwners` and `getThreshold` as EIP-1271 and Safe document them.

The calls are decoded with eth-abi, signatures and ERC-6492 wrappings are made with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_utils.crypto import keccak

from assay_verify.ownership.chain_state import Contracts, RevertedError
from assay_verify.ownership.evm import eip191, eip191_hashed, eip712
from assay_verify.ownership.evm_contracts import NOT_SHOWN, VALIDATOR_NOT_SHOWN, WRAPPED, Eip1271, EoaOwners
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError
from tests.verifier.ownership.test_evm import as_hashed, as_personal, signed

BLOCK = "0x" + "ab" * 32
WALLET = "0x" + "5a" * 20
TEXT = "Example Custodian 2026-10 ethereum"
MAGIC = bytes.fromhex("1626ba7e") + bytes(28)
FORMS = {"personal message": eip191, "typed data": eip712, "hashed form": eip191_hashed}


@dataclass
class Chain:
    """One contract on a chain of one block."""

    digest: bytes = b""
    signature: bytes = b"any"
    yes: bytes = MAGIC
    no: bytes | None = bytes(32)
    code: bytes = b"\x60"
    owners: bytes | None = None
    threshold: bytes = (1).to_bytes(32, "big")
    asked: list[str] = field(default_factory=list)

    def call(self, to: str, data: bytes, block: str) -> bytes:
        assert (to, block) == (WALLET, BLOCK)
        if data[:4] == keccak(text="isValidSignature(bytes32,bytes)")[:4]:
            digest, signature = decode(["bytes32", "bytes"], data[4:], strict=True)
            answer = self.yes if (digest, signature) == (self.digest, self.signature) else self.no
        elif data == keccak(text="getOwners()")[:4]:
            answer = self.owners
        else:
            assert data == keccak(text="getThreshold()")[:4]
            answer = self.threshold
        if answer is None:
            raise RevertedError
        return answer

    def contracts(self) -> Contracts:
        return Contracts(
            call=self.call, code=lambda address, block: self.code if (address, block) == (WALLET, BLOCK) else b"", block_hash=BLOCK
        )


def statement(signature: bytes = b"any", address: str = WALLET) -> Statement:
    return Statement(coin="ETH", address=address, message=TEXT, signatures=(f"0x{signature.hex()}",))


class TestEip1271:
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("signature", [b"", b"s" * 31, b"s" * 32, b"s" * 65, b"s" * 130])
    def test_the_contracts_word_is_taken_for_each_form(self, form: str, signature: bytes) -> None:
        chain = Chain(digest=FORMS[form](TEXT.encode()), signature=signature)
        verified = Eip1271(chain.contracts()).verify(statement(signature))
        assert verified.scheme == "eip1271"
        assert form in verified.note
        assert BLOCK in verified.note

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            bytes(32),
            MAGIC[:4],
            MAGIC[:31],
            MAGIC + b"\0",
            MAGIC[:31] + b"\1",
            bytes(28) + MAGIC[:4],
            (1).to_bytes(32, "big"),
            bytes.fromhex("20c13b0b") + bytes(28),
            b"\xff" * 32,
            None,
        ],
    )
    def test_anything_but_the_magic_value_is_refused(self, answer: bytes | None) -> None:
        chain = Chain(digest=eip191(TEXT.encode()), yes=answer, no=answer)  # type: ignore[arg-type]
        with pytest.raises(NotVerifiedError, match="magic value"):
            Eip1271(chain.contracts()).verify(statement())

    def test_other_words_are_refused(self) -> None:
        chain = Chain(digest=eip191(TEXT.encode()))
        for wrong in (statement(b"anz"), replace(statement(), message=TEXT + ".")):
            with pytest.raises(NotVerifiedError):
                Eip1271(chain.contracts()).verify(wrong)

    def test_a_contract_deployed_after_the_block_is_refused(self) -> None:
        chain = Chain(digest=eip191(TEXT.encode()), code=b"")
        with pytest.raises(NotVerifiedError, match="no code at the block"):
            Eip1271(chain.contracts()).verify(statement())

    @pytest.mark.parametrize("address", ["", "0x", "0x5a", "5a" * 20, "0X" + "5a" * 20, "0x" + "5A" * 20, "0x" + "zz" * 20, "f410faaaa"])
    def test_an_address_that_is_none_is_refused(self, address: str) -> None:
        with pytest.raises(NotVerifiedError):
            Eip1271(Chain().contracts()).verify(statement(address=address))

    @pytest.mark.parametrize("signature", ["0x0", "xyz", "0x 00", "ab cd"])
    def test_a_signature_that_is_not_hexadecimal_is_refused(self, signature: str) -> None:
        with pytest.raises(NotVerifiedError):
            Eip1271(Chain().contracts()).verify(replace(statement(), signatures=(signature,)))

    def test_a_read_that_fails_is_not_an_answer(self) -> None:
        def fails(*_asked: object) -> bytes:
            raise ConnectionError

        for contracts in (replace(Chain().contracts(), call=fails), replace(Chain().contracts(), code=fails)):
            with pytest.raises(ConnectionError):
                Eip1271(contracts).verify(statement())


class TestErc6492:
    INNER = b"inner signature"
    SIGNATURE = encode(["address", "bytes", "bytes"], ["0x" + "fa" * 20, b"deploy", INNER]) + WRAPPED

    def test_what_is_inside_is_checked_where_the_wallet_is_deployed(self) -> None:
        chain = Chain(digest=eip191(TEXT.encode()), signature=self.INNER)
        assert Eip1271(chain.contracts()).verify(statement(self.SIGNATURE)).scheme == "eip1271"

    def test_a_wallet_that_is_not_deployed_is_unsupported(self) -> None:
        chain = Chain(digest=eip191(TEXT.encode()), signature=self.INNER, code=b"")
        with pytest.raises(UnsupportedError, match="not deployed"):
            Eip1271(chain.contracts()).verify(statement(self.SIGNATURE))

    @pytest.mark.parametrize("body", [b"", b"\0" * 95, b"\xff" * 96, SIGNATURE[:-64]])
    def test_a_wrapping_that_is_none_is_refused(self, body: bytes) -> None:
        chain = Chain(digest=eip191(TEXT.encode()), signature=self.INNER)
        with pytest.raises(NotVerifiedError):
            Eip1271(chain.contracts()).verify(statement(body + WRAPPED))


def owned(*keys: int, form: object = as_hashed, address: str = WALLET) -> Statement:
    parts = [signed(form, key, TEXT) for key in keys]
    return Statement(
        coin="ETH",
        address=address,
        message=TEXT,
        signatures=tuple(part.signatures[0] for part in parts),
        owners=tuple(part.address for part in parts),
    )


def safe(*keys: int, threshold: int = 2) -> Chain:
    addresses = [Account.from_key(key.to_bytes(32, "big")).address for key in keys]
    return Chain(owners=encode(["address[]"], [addresses]), threshold=threshold.to_bytes(32, "big"))


class TestOwners:
    @pytest.mark.parametrize("form", [as_hashed, as_personal])
    def test_each_owners_signature_holds_and_the_note_says_what_it_does_not_show(self, form: object) -> None:
        verified = EoaOwners().verify(owned(1, 2, form=form))
        assert (verified.scheme, len(verified.keys), verified.note) == ("eoa_owners", 2, NOT_SHOWN)
        assert EoaOwners().verify(owned(1)).note == NOT_SHOWN

    def test_owners_of_a_validator_have_a_note_of_their_own(self) -> None:
        assert EoaOwners(Chain().contracts()).verify(owned(1, address="0x" + "ab" * 48)).note == VALIDATOR_NOT_SHOWN

    def test_one_signature_by_each_owner_and_no_owner_twice(self) -> None:
        both = owned(1, 2)
        for wrong in (
            replace(both, signatures=both.signatures[:1]),
            replace(both, owners=both.owners[:1]),
            replace(both, signatures=both.signatures[::-1]),
            owned(1, 1),
            replace(both, owners=(both.owners[0], both.owners[0])),
            replace(both, signatures=(both.signatures[0], both.signatures[0])),
            replace(both, owners=()),
            replace(both, message="another"),
            replace(both, address="0x12"),
        ):
            with pytest.raises(NotVerifiedError):
                EoaOwners(Chain().contracts()).verify(wrong)

    def test_a_safe_that_counts_them_among_its_owners_clears_the_note(self) -> None:
        assert EoaOwners(safe(1, 2, 3).contracts()).verify(owned(1, 2)).note == ""

    def test_a_safe_that_does_not_is_a_contradiction(self) -> None:
        with pytest.raises(NotVerifiedError, match="among its owners"):
            EoaOwners(safe(1, 3).contracts()).verify(owned(1, 2))
        with pytest.raises(NotVerifiedError, match="wants 3"):
            EoaOwners(safe(1, 2, 3, threshold=3).contracts()).verify(owned(1, 2))

    def test_a_contract_without_code_at_the_block_has_no_owners(self) -> None:
        with pytest.raises(NotVerifiedError, match="no code"):
            EoaOwners(Chain(code=b"").contracts()).verify(owned(1, 2))

    @pytest.mark.parametrize(
        "chain",
        [
            Chain(owners=None),
            Chain(owners=b""),
            Chain(owners=bytes(32)),
            Chain(owners=encode(["address[]"], [[]])),
            replace(safe(1, 2), threshold=b""),
            replace(safe(1, 2), threshold=bytes(32)),
            replace(safe(1, 2), threshold=(3).to_bytes(32, "big")),
            replace(safe(1, 2), owners=encode(["uint256[]"], [[2**200, 1]])),
            replace(safe(1, 2), owners=encode(["address[]"], [["0x" + "11" * 20]])[:-1]),
        ],
    )
    def test_a_contract_that_is_no_safe_keeps_the_note(self, chain: Chain) -> None:
        assert EoaOwners(chain.contracts()).verify(owned(1, 2)).note == NOT_SHOWN
