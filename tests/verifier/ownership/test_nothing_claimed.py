"""A publication whose wallets carry no signatures claims nothing about them; a list without signatures is no such thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verifier.ownership.test_cli_ownership import account, claim, publish, run, static


def test_nothing_claimed_is_no_failed_claim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [claim(1), claim(2)]
    code, document = run(publish(tmp_path, rows, {account(1): "none", account(2): "none"}), capsys)
    assert code == 0
    assert document["verdict"] == "held"
    signatures = next(check for check in document["checks"] if check["name"] == "ownership.signatures")
    assert signatures["left_out"] == "no proof is claimed for any of the 2 wallets"


def test_a_wallet_that_claims_a_proof_it_has_not_still_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [claim(1), {**static(2), "signatures": ""}]
    code, _ = run(publish(tmp_path, rows, {account(1): "none", account(2): "static"}), capsys)
    assert code == 1
