"""Which scheme a statement is checked in, against the published vectors: `../shared/vectors/okx` and `../shared/vectors/summa`, every entry counted."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from assay.config_chains import read_catalogue
from assay_verify.ownership.chain_state import ChainState
from assay_verify.ownership.encodings import base58
from assay_verify.ownership.evm import eip191
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError
from assay_verify.ownership.schemes import KINDS, UNSUPPORTED, kind_of, verify_for
from tests.verifier.ownership.test_evm import as_personal, signed
from tests.verifier.ownership.test_evm_contracts import Chain, owned, statement

REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
VECTORS = REPOSITORY.parent / "shared" / "vectors"
OKX = VECTORS / "okx" / "signature_vectors.json"
SUMMA = VECTORS / "summa" / "signatures.csv"
CHAINS = read_catalogue()[1]
COUNTED = {
    "bip137": 3,
    "bitcoin_multisig": 7,
    "ed25519_okx": 7,
    "eip191_hashed": 10,
    "okx_ecdsa": 10,
    "starknet_okx": 1,
}
"""Entries by the scheme that they hold in: 38, none left out."""

with_okx = pytest.mark.skipif(not OKX.exists(), reason=f"the vectors are not there: {OKX}")
with_summa = pytest.mark.skipif(not SUMMA.exists(), reason=f"the vectors are not there: {SUMMA}")


@cache
def published() -> list[Statement]:
    vectors: list[dict[str, Any]] = json.loads(OKX.read_text())["vectors"] if OKX.exists() else []
    return [
        Statement(
            coin=vector["coin"],
            address=vector["addr"],
            message=vector["msg"],
            signatures=tuple(vector[name] for name in ("sign", "sign1", "sign2") if vector.get(name)),
            script=vector.get("pub") or vector.get("script") or "",
        )
        for vector in vectors
    ]


@with_okx
def test_all_published_vectors_verify() -> None:
    assert Counter(verify_for(vector).scheme for vector in published()) == COUNTED
    assert sum(COUNTED.values()) == len(published()) == 38
    assert all(not verify_for(vector).note for vector in published())


@pytest.mark.parametrize("number", range(38))
@with_okx
def test_no_published_vector_verifies_with_another_message_address_or_signature(number: int) -> None:
    vector = published()[number]
    others = [other for other in published() if other.coin == vector.coin and other.address != vector.address]
    wrong = [
        replace(vector, message=vector.message + "."),
        replace(vector, message=""),
        replace(vector, signatures=(vector.signatures[0][:-1], *vector.signatures[1:])),
        replace(vector, signatures=("", *vector.signatures[1:])),
        replace(vector, signatures=()),
        *(replace(vector, address=other.address) for other in others),
        *(replace(vector, signatures=other.signatures) for other in others),
    ]
    for each in wrong:
        with pytest.raises((NotVerifiedError, UnsupportedError) if vector.coin == "STARKNET" else NotVerifiedError):
            verify_for(each)


@with_summa
def test_the_other_published_list_verifies() -> None:
    with SUMMA.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    schemes = [
        verify_for(Statement(coin=row["chain"], address=row["address"], message=row["message"], signatures=(row["signature"],))).scheme
        for row in rows
    ]
    assert schemes == ["eip191_abi_hashed"] * 2  # signed over keccak256(abi.encode(message)): neither the text nor its own hash


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_every_chain_of_the_catalogue_has_the_kind_of_its_family(chain: str) -> None:
    kind = kind_of(chain)
    assert kind in (CHAINS[chain].family, "okc")  # OKT's own lists are signed in another form besides
    assert kind_of(CHAINS[chain].family) == CHAINS[chain].family


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_schemes_that_say_what_they_are(kind: str) -> None:
    schemes = KINDS[kind](ChainState())
    assert schemes
    assert all(scheme.name and scheme.specification.startswith("https://") for scheme in schemes)
    assert len({scheme.name for scheme in schemes}) == len(schemes)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("signatures", [(), ("",), ("", ""), ("0x",), ("junk",), ("A" * 88,), ("00" * 65,), ("\ud800",), ("🔑",)])
@pytest.mark.parametrize(("address", "script"), [("", ""), ("0x", "0x"), ("x" * 500, "zz"), ("\ud800", "\ud800"), ("地址", "00" * 33)])
def test_junk_never_verifies_and_never_ends_otherwise(kind: str, signatures: tuple[str, ...], address: str, script: str) -> None:
    for owners in ((), ("0x1",)):
        junk = Statement(coin=kind, address=address, message="text", signatures=signatures, script=script, owners=owners)
        with pytest.raises((NotVerifiedError, UnsupportedError)):
            verify_for(junk)


@pytest.mark.parametrize("coin", [*UNSUPPORTED, "", "UNHEARD", "btc ", "ETH\n"])
def test_what_has_no_scheme_is_unsupported_by_name(coin: str) -> None:
    with pytest.raises(UnsupportedError):
        verify_for(replace(signed(as_personal), coin=coin))


def test_the_network_decides_where_it_is_known() -> None:
    key = SigningKey(b"a" * 32)
    row = Statement(coin="USDC", address=base58(bytes(key.verify_key)), message="text", signatures=(key.sign(b"text").signature.hex(),))
    assert verify_for(row, "SOL").scheme == "ed25519"
    assert verify_for(row, "solana").scheme == "ed25519"
    with pytest.raises(NotVerifiedError):
        verify_for(row)
    with pytest.raises(UnsupportedError, match="ALGO"):
        verify_for(row, "ALGO")


def test_a_contract_is_asked_only_where_there_is_a_chain_to_ask() -> None:
    chain = Chain(digest=eip191(statement().message.encode()))
    with pytest.raises(NotVerifiedError):
        verify_for(statement())
    assert verify_for(statement(), state=ChainState(contracts=chain.contracts())).scheme == "eip1271"


def test_owners_sign_for_contracts_and_nothing_else() -> None:
    assert verify_for(owned(1, 2)).scheme == "eoa_owners"
    with pytest.raises(NotVerifiedError, match="owners are named"):
        verify_for(replace(owned(1, 2), coin="TRX"))


def test_the_order_in_which_forms_are_tried_changes_nothing() -> None:
    personal = signed(as_personal)
    for before in (*published(), personal):
        verify_for(before)
        assert verify_for(personal).scheme == "eip191"


def test_a_key_of_the_chain_reaches_the_scheme() -> None:
    key = SigningKey(b"a" * 32)
    named = Statement(
        coin="NEAR",
        address="custody.near",
        message="text",
        signatures=(key.sign(b"text").signature.hex(),),
        script=bytes(key.verify_key).hex(),
    )
    with pytest.raises(UnsupportedError):
        verify_for(named)
    assert verify_for(named, state=ChainState(keys_of=lambda _name: [bytes(key.verify_key)])).note
