"""Recovery of keys by libsecp256k1's own functions, beside coincurve's classes; and both Keccaks."""

from __future__ import annotations

import secrets
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from coincurve import PrivateKey
from Crypto.Hash import keccak as peer
from hypothesis import given
from hypothesis import strategies as st

from assay_verify import digests
from assay_verify.ownership.ecdsa import compressed, recover, recover_text
from assay_verify.ownership.interface import NotVerifiedError

DIGEST = bytes(range(32))


def signed(key: PrivateKey, digest: bytes) -> tuple[bytes, int]:
    signature = key.sign_recoverable(digest, hasher=None)
    return signature[:64], signature[64]


@given(secret=st.integers(1, 2**255), digest=st.binary(min_size=32, max_size=32))
def test_the_key_that_signed_is_recovered(secret: int, digest: bytes) -> None:
    key = PrivateKey.from_int(secret)
    found = recover(digest, *signed(key, digest))
    assert found == key.public_key.format(compressed=False)
    assert compressed(found) == key.public_key.format()


def test_threads_do_not_write_over_each_other() -> None:
    keys = [PrivateKey(secrets.token_bytes(32)) for _ in range(400)]
    wanted = [(signed(key, DIGEST), key.public_key.format(compressed=False)) for key in keys]

    def check(item: tuple[tuple[bytes, int], bytes]) -> bool:
        return recover(DIGEST, *item[0]) == item[1]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(check, wanted * 3))


@pytest.mark.parametrize(
    ("digest", "compact", "recovery"),
    [
        (DIGEST, bytes(64), 0),
        (DIGEST, b"\xff" * 32 + b"\1" * 32, 0),
        (DIGEST, b"\1" * 64, 2),
        (DIGEST, b"\1" * 64, 4),
        (DIGEST, b"\1" * 64, -1),
        (DIGEST, b"\1" * 63, 0),
        (DIGEST, b"\1" * 65, 0),
        (DIGEST[:31], b"\1" * 64, 0),
        (DIGEST, b"\1" * 32 + b"\xff" * 32, 0),
    ],
)
def test_what_no_key_can_have_signed_is_refused(digest: bytes, compact: bytes, recovery: int) -> None:
    with pytest.raises(NotVerifiedError):
        recover(digest, compact, recovery)


@pytest.mark.parametrize("v", [2, 3, 26, 29, 30, 31, 255])
def test_other_recovery_ids_in_a_text_are_refused(v: int) -> None:
    compact, _ = signed(PrivateKey(b"\7" * 32), DIGEST)
    with pytest.raises(NotVerifiedError, match=f"v = {v}"):
        recover_text(DIGEST, compact.hex() + f"{v:02x}")


def test_keccak_is_the_same_with_and_without_the_faster_library(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [secrets.token_bytes(length) for length in (0, 1, 31, 32, 64, 135, 136, 137, 500)]
    monkeypatch.setitem(sys.modules, "sha3", None)
    without = digests._keccak256()
    for text in texts:
        expected = peer.new(digest_bits=256, data=text).digest()
        assert digests.keccak256(text) == without(text) == expected
    assert digests.keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
