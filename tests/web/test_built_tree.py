"""Proofs cut from a tree that the program built and published, judged by both verifiers: 1,000 users, each proof also altered."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from assay.commitments.proving import Prover
from tests.commitments.ledger import SECRET, commit_to, report_of
from tests.web import forgeries
from tests.web.node import Given, judge
from tests.web.test_agreement import verdict_of_python

USERS = 1_000
ASSETS = {"BTC": 8, "DOGE": 8, "ETH": 18, "USDT": 6}
Balances = dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Balances, Prover]:
    rng = random.Random(20230217)
    balances: Balances = {}
    for number in range(USERS):
        held = rng.sample(sorted(ASSETS), rng.randrange(1, len(ASSETS) + 1))
        whale = 10_000 if number % 100 == 0 else 1
        balances[f"user-{number}"] = {asset: rng.randrange(1, 10 ** (ASSETS[asset] + 3)) * whale for asset in held}
    folder = tmp_path_factory.mktemp("built")
    commit_to(report_of(ASSETS), balances, folder)
    return balances, Prover(folder / "tree", folder / "index", secret=SECRET)


def whole(amount: int, decimals: int) -> str:
    units, fraction = divmod(amount, 10**decimals)
    return f"{units:,}" + (f".{fraction:0{decimals}}".rstrip("0") if fraction else "")


def as_file(proof: dict[str, Any]) -> bytes:
    return json.dumps(proof).encode()


def test_both_accept_every_users_proof_and_show_their_balances(built: tuple[Balances, Prover]) -> None:
    balances, prover = built
    commitment = prover.commitment.commitment.hex()
    givens = {user: Given(proof=as_file(prover.prove(user)), user_id=user, commitment=commitment) for user in balances}
    judged = dict(zip(givens, judge(givens.values()), strict=True))
    assert {one.verdict for one in judged.values()} == {"holds"}
    assert {verdict_of_python(given) for given in givens.values()} == {"holds"}
    for user, own in balances.items():
        assert judged[user].own == {asset: whole(own.get(asset, 0), decimals) for asset, decimals in ASSETS.items()}
    totals = {asset: whole(sum(own.get(asset, 0) for own in balances.values()), decimals) for asset, decimals in ASSETS.items()}
    assert {json.dumps(one.total) for one in judged.values()} == {json.dumps(totals)}


def test_both_refuse_every_users_proof_when_it_was_altered_or_is_shown_to_another(built: tuple[Balances, Prover]) -> None:
    balances, prover = built
    commitment = prover.commitment.commitment.hex()
    rng = random.Random(1)
    users = list(balances)
    givens = []
    for number, user in enumerate(users):
        proof = prover.prove(user)
        forger = forgeries.FORGERIES[number % len(forgeries.FORGERIES)]
        givens.append(Given(proof=forgeries.forge(rng, forger, copy.deepcopy(proof)), user_id=user, commitment=commitment))
        if number % 10 == 0:
            givens.append(Given(proof=as_file(proof), user_id=users[number - 1], commitment=commitment))
    assert {one.verdict for one in judge(givens)} == {"fails"}
    assert {verdict_of_python(given) for given in givens} == {"fails"}
