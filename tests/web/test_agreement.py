"""Two verifiers written apart from the format's page, in Python and in JavaScript, say the same of the same proofs.

The JavaScript is what the page in `verifier/web` consists of; here it runs under Node. The proofs are made by a third program,
`sum_trees.py`, and altered by `forgeries.py`.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from assay_verify.findings import Exit, UnusableInputError
from assay_verify.sum_tree.formats import check_content
from assay_verify.sum_tree.inclusion import Expected
from tests.web import forgeries, sum_trees
from tests.web.node import Given, judge

PROOFS = 1_000
FORGED = 1_000
VERDICTS = {Exit.HELD: "holds", Exit.INCOMPLETE: "incomplete", Exit.FAILED: "fails"}
SYMBOLS = ("ADA", "BTC", "ETH", "USDT", "X" * 12, "ß", "€uro", "𝔹")
"""Sorted by their UTF-8; by UTF-16 code units the last one would stand before others of the basic plane."""


def random_proof(rng: random.Random) -> tuple[str, dict[str, Any]]:
    user_id = rng.choice([str(rng.randrange(10**9)), "user@example.com", "Ünïcode 用户 " + str(rng.random()), " spaced ", "x" * 300])
    leaf_count = rng.choice([rng.randrange(2, 40), rng.randrange(2, 5000), rng.randrange(2**20, 2**27), 2**40, rng.randrange(2, 2**40)])
    return user_id, sum_trees.proof(
        rng,
        user_id=user_id,
        leaf_count=leaf_count,
        parts=rng.randrange(2, min(6, leaf_count) + 1),
        symbols=sorted(rng.sample(SYMBOLS, rng.randrange(1, 5)), key=str.encode),
        largest=rng.choice([2, 10**6, 2**64 + 1, 10**25]),
        series=rng.choice(["sandbox", "Reihe “A”", "s"]),
        as_of=rng.choice(["2023-02-17T16:00:00Z", "2024-02-29T23:59:59Z"]),
        revision=rng.choice([1, 2, 2**32 - 1]),
    )


def verdict_of_python(given: Given) -> str:
    assert given.proof is not None
    expected = Expected(user_id=given.user_id or None, commitment=given.commitment or None)
    try:
        return VERDICTS[check_content(given.proof, expected).findings.exit_code]
    except UnusableInputError:
        return "fails"


def verdicts_of_javascript(givens: list[Given]) -> list[str]:
    return ["fails" if judged.verdict == "unknown" else judged.verdict for judged in judge(givens)]


def as_file(proof: dict[str, Any]) -> bytes:
    return json.dumps(proof, ensure_ascii=False).encode()


def test_both_accept_a_thousand_random_proofs() -> None:
    rng = random.Random(20230217)
    givens = [
        Given(proof=as_file(proof), user_id=user_id, commitment=proof["commitment"])
        for user_id, proof in (random_proof(rng) for _ in range(PROOFS))
    ]
    assert set(verdicts_of_javascript(givens)) == {"holds"}
    assert {verdict_of_python(given) for given in givens} == {"holds"}


def test_both_refuse_a_thousand_forged_proofs() -> None:
    rng = random.Random(20230118)
    givens, names = [], []
    for number in range(FORGED):
        user_id, proof = random_proof(rng)
        forger = forgeries.FORGERIES[number % len(forgeries.FORGERIES)]
        givens.append(Given(proof=forgeries.forge(rng, forger, proof), user_id=user_id, commitment=proof["commitment"]))
        names.append(forger.__name__)
    accepted = [(name, verdict) for name, verdict in zip(names, verdicts_of_javascript(givens), strict=True) if verdict != "fails"]
    assert accepted == []
    assert [(name, verdict) for name, given in zip(names, givens, strict=True) if (verdict := verdict_of_python(given)) != "fails"] == []


def test_both_say_the_same_of_five_hundred_damaged_files() -> None:
    """Bytes changed, put in, taken out and repeated at random: often no JSON any more, now and then a proof that still holds."""
    rng = random.Random(20230316)
    originals = [random_proof(rng) for _ in range(10)]
    givens = []
    for _ in range(500):
        user_id, proof = rng.choice(originals)
        damaged = damage(rng, json.dumps(proof, indent=rng.choice([None, 1])).encode())
        givens.append(Given(proof=damaged, user_id=user_id, commitment=proof["commitment"]))
    assert verdicts_of_javascript(givens) == [verdict_of_python(given) for given in givens]


def damage(rng: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    pieces = [
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"-",
        b"0",
        b"1e5",
        b"\\",
        b"\\u0041",
        b"\xff",
        b"\x00",
        b" ",
        b"\n",
        b'"a":1,',
    ]
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(damaged))
        match rng.randrange(4):
            case 0:
                damaged[at] = rng.randrange(256)
            case 1:
                damaged[at:at] = rng.choice(pieces)
            case 2:
                del damaged[at : at + rng.choice([1, 10, 100])]
            case _:
                other = rng.randrange(len(damaged))
                damaged[at:at] = damaged[other : other + rng.choice([1, 5, 70])]
    return bytes(damaged)


@pytest.mark.parametrize("name", forgeries.WRITTEN_OTHERWISE)
def test_both_refuse_a_proof_that_can_be_read_in_two_ways(name: str) -> None:
    user_id, proof = random_proof(random.Random(1))
    text = json.dumps(proof)
    altered = forgeries.WRITTEN_OTHERWISE[name](text, proof)
    assert altered != text
    given = Given(proof=altered.encode(), user_id=user_id, commitment=proof["commitment"])
    [judged] = judge([given])
    assert judged.verdict in {"fails", "unknown"}
    assert judged.sentence.endswith(".")
    assert verdict_of_python(given) == "fails"


@pytest.mark.parametrize(
    ("user_id", "commitment", "verdict"),
    [
        ("1234567", "own", "holds"),
        ("1234568", "own", "fails"),
        ("1234567 ", "own", "fails"),
        ("", "own", "incomplete"),
        ("1234567", "", "incomplete"),
        ("", "", "incomplete"),
        ("1234567", "ab" * 32, "fails"),
        ("", "ab" * 32, "fails"),
    ],
)
def test_both_say_the_same_of_what_is_given_beside_the_proof(user_id: str, commitment: str, verdict: str) -> None:
    proof = sum_trees.proof(random.Random(2), user_id="1234567", leaf_count=19)
    given = Given(proof=as_file(proof), user_id=user_id, commitment=proof["commitment"] if commitment == "own" else commitment)
    assert (verdicts_of_javascript([given]), verdict_of_python(given)) == ([verdict], verdict)


def test_both_refuse_a_sum_that_is_no_amount_any_more() -> None:
    """Each balance is one, and their sum is 10^38."""
    proof = sum_trees.proof(random.Random(3), user_id="1", leaf_count=2, largest=10**6)
    for leaf in proof["leaves"]:
        leaf["path"][0]["balances"][0] = str(10**38 - int(leaf["balances"][0]))
    given = Given(proof=as_file(proof), user_id="1", commitment=proof["commitment"])
    [judged] = judge([given])
    assert judged.verdict == verdict_of_python(given) == "fails"
    assert "too large" in judged.sentence
