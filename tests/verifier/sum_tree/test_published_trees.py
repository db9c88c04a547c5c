"""What the publishing program builds, read by the verifier, which shares no code with it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from assay.commitments.proving import Prover
from assay_verify.findings import Exit
from assay_verify.sum_tree import formats, tree
from assay_verify.sum_tree.inclusion import Expected
from assay_verify.sum_tree.verified import VerifiedProof
from tests.commitments.ledger import SECRET, commit_to, report_of

ASSETS = {"BTC": 8, "ETH": 18, "USDT": 6}
WHALE = "the whale é"


def balances() -> dict[str, dict[str, int]]:
    dice = random.Random(7)
    users = {
        f"user {at}": {asset: dice.choice([0, 1, dice.randrange(10**9), dice.randrange(10**26)]) for asset in ASSETS} for at in range(120)
    }
    users[WHALE] = {"BTC": 21 * 10**14, "ETH": 1, "USDT": 0}
    return {user: own for user, own in users.items() if any(own.values())}


BALANCES = balances()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    commit_to(report_of(ASSETS), BALANCES, folder)
    return folder


def check(prover: Prover, user_id: str, expected: Expected) -> VerifiedProof:
    return formats.check_content(json.dumps(prover.prove(user_id)).encode(), expected)


def test_the_whole_tree_holds_and_adds_up_to_what_users_are_owed(built: Path) -> None:
    verified = tree.verify(built / "tree", processes=2)
    assert verified.findings.exit_code == Exit.HELD, [made.failures for made in verified.findings.checks]
    assert not verified.notices
    document = json.loads((built / "tree" / "commitment.json").read_text())
    owed = [str(sum(own[asset] for own in BALANCES.values())) for asset in ASSETS]
    assert document["root"]["balances"] == owed


def test_every_users_proof_holds_for_that_user_alone(built: Path) -> None:
    prover = Prover(built / "tree", built / "index", secret=SECRET)
    commitment = prover.commitment.commitment.hex()
    others = [*list(BALANCES)[1:], next(iter(BALANCES))]
    for user_id, other in zip(BALANCES, others, strict=True):
        verified = check(prover, user_id, Expected(user_id=user_id, commitment=commitment))
        assert verified.findings.exit_code == Exit.HELD, (user_id, [made.failures for made in verified.findings.checks])
        assert check(prover, user_id, Expected(user_id=other, commitment=commitment)).findings.exit_code == Exit.FAILED


def test_a_proof_shows_what_the_user_is_owed(built: Path) -> None:
    prover = Prover(built / "tree", built / "index", secret=SECRET)
    verified = check(prover, WHALE, Expected(user_id=WHALE, without_commitment=True))
    assert [(one.asset, one.own) for one in verified.holdings] == [("BTC", "21,000,000"), ("ETH", "0.000000000000000001"), ("USDT", "0")]


@pytest.mark.parametrize("folder", ["2023-01-18T160000Z", "2023-02-17T160000Z"])
def test_the_trees_of_whole_publications_hold(published: Path, folder: str) -> None:
    verified = tree.verify(published / folder, processes=1)
    assert verified.findings.exit_code == Exit.HELD, [made.failures for made in verified.findings.checks]
    assert "The liabilities that the published ratios are computed with are these totals." in verified.proven


def test_the_tree_of_another_publication_in_its_place_is_refused(series: Path) -> None:
    first, second = (series / name / "liability_tree" for name in ("2023-01-18T160000Z", "2023-02-17T160000Z"))
    shutil.rmtree(second)
    shutil.copytree(first, second)
    verified = tree.verify(second.parent, processes=1)
    failed = {made.name for made in verified.findings.checks if made.failures}
    assert failed == {"files.digests", "commitment.published", "totals.ratios", "totals.table"}
