"""The sum tree's files, against an implementation of the format page that shares no code with the builder."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.commitments.format import Commitment, Report, size_class
from assay.commitments.proving import Prover
from assay.errors import UnknownUserError
from tests.commitments import reference
from tests.commitments.ledger import ASSETS, SECRET, Balances, build_tree, commit_to, report_of, rows_of, some_users, write_rows

_amounts = st.one_of(
    st.integers(0, 10**6),
    st.builds(lambda digits, zeros: digits * 10**zeros, st.integers(1, 10**5), st.integers(0, 20)),
    st.integers(0, 10**30),
    st.integers(-(10**20), 10**20),
)
_users = st.dictionaries(
    st.text(min_size=1, max_size=8), st.dictionaries(st.sampled_from(sorted(ASSETS)), _amounts, min_size=1), min_size=1, max_size=40
)


def gross(balances: Balances, symbols: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(sum(max(own.get(symbol, 0), 0) for own in balances.values()) for symbol in symbols)


def check_everything(report: Report, balances: Balances, folder: Path, commitment: Commitment) -> None:
    """The whole tree, and a proof of every user."""
    nodes = reference.check_tree(folder / "tree")
    assert commitment.totals == gross(balances, report.symbols)
    prover = Prover(folder / "tree", folder / "index", secret=SECRET)
    positions: set[int] = set()
    for user_id, own in balances.items():
        proof = prover.prove(user_id)
        shown = reference.check_proof(proof, user_id, commitment.commitment.hex())
        assert shown == gross({user_id: own}, report.symbols)
        for leaf in proof["leaves"]:
            assert nodes[0, leaf["position"]][1] == tuple(map(int, leaf["balances"]))
            assert leaf["position"] not in positions
            assert all(int(balance) <= limit for balance, limit in zip(leaf["balances"], commitment.limits, strict=True))
            positions.add(leaf["position"])
    assert commitment.leaf_count == size_class(len(positions))
    # What is left are dummies: no balance, and another hash each.
    dummies = [nodes[0, position] for position in range(commitment.leaf_count) if position not in positions]
    assert all(not any(balances) for _, balances in dummies)
    assert len({hashed for hashed, _ in dummies}) == len(dummies)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(balances=_users, shard_bits=st.integers(1, 8), parts=st.integers(2, 5))
def test_random_trees_are_those_of_the_page_and_prove_every_user(balances: Balances, shard_bits: int, parts: int) -> None:
    with TemporaryDirectory() as name:
        folder, report = Path(name), report_of(ASSETS)
        commitment = commit_to(report, balances, folder, shard_leaves=1 << shard_bits, parts=parts)
        check_everything(report, balances, folder, commitment)


@pytest.mark.parametrize(("shard_leaves", "users"), [(64, 400), (4096, 1500), (1 << 13, 9000)])
def test_trees_with_upper_levels_in_every_kind_of_file_hold(shard_leaves: int, users: int, tmp_path: Path) -> None:
    # The prover takes levels from leaves, from the last rows of the nodes, and from the top: each has its turn.
    balances, report = some_users(users), report_of(ASSETS)
    commitment = commit_to(report, balances, tmp_path, shard_leaves=shard_leaves)
    nodes = reference.check_tree(tmp_path / "tree")
    prover = Prover(tmp_path / "tree", tmp_path / "index", secret=SECRET)
    for user_id in random.Random(2).sample(sorted(balances), 50):
        proof = prover.prove(user_id)
        assert reference.check_proof(proof, user_id, commitment.commitment.hex()) == gross({user_id: balances[user_id]}, report.symbols)
    assert nodes[(commitment.leaf_count - 1).bit_length(), 0][1] == gross(balances, report.symbols)


def test_one_user_alone_is_hidden_among_sixteen_leaves(tmp_path: Path) -> None:
    report, balances = report_of(ASSETS), {"the only one": {"BTC": 150_000_000}}
    commitment = commit_to(report, balances, tmp_path)
    assert commitment.leaf_count == 16
    check_everything(report, balances, tmp_path, commitment)


def test_users_without_a_positive_balance_have_leaves_too(tmp_path: Path) -> None:
    report, balances = report_of(ASSETS), {"in debt": {"BTC": -5}, "empty": {"ETH": 0}, "other": {"BTC": 7}}
    check_everything(report, balances, tmp_path, commit_to(report, balances, tmp_path))


def test_accounts_of_a_user_are_added_and_debts_left_out(tmp_path: Path) -> None:
    report = report_of(ASSETS)
    rows = rows_of(report, {"ann": {"BTC": 5}})
    key = rows[0][0]
    accounts = [(key, kind, "BTC", 8, amount) for kind, amount in (("earn", 3), ("margin", -100), ("spot", 5))]
    commitment = build_tree(report, [write_rows(tmp_path / "liabilities.parquet", accounts)], tmp_path)
    assert commitment.totals == (8, 0, 0)


def test_who_is_not_in_the_tree_is_told_so(tmp_path: Path) -> None:
    commit_to(report_of(ASSETS), some_users(50), tmp_path)
    prover = Prover(tmp_path / "tree", tmp_path / "index", secret=SECRET)
    with pytest.raises(UnknownUserError, match="user nobody: the report has no balance"):
        prover.prove("nobody")


def test_a_whale_goes_into_many_leaves_none_of_which_stands_out(tmp_path: Path) -> None:
    balances = some_users(4000, assets={"BTC": 8})
    balances["whale"] = {"BTC": 20 * sum(own["BTC"] for own in balances.values())}
    report = report_of({"BTC": 8})
    commitment = commit_to(report, balances, tmp_path, shard_leaves=1 << 14)
    leaves = Prover(tmp_path / "tree", tmp_path / "index", secret=SECRET).prove("whale")["leaves"]
    amounts = sorted(int(leaf["balances"][0]) for leaf in leaves)
    assert 128 < len(amounts) <= 256
    assert amounts[-1] <= commitment.limits[0]
    assert amounts[-1] < 3 * amounts[0]
    assert sum(amounts) == balances["whale"]["BTC"]


def test_few_users_have_leaves_more_than_others(tmp_path: Path) -> None:
    balances = some_users(3000)
    commitment = commit_to(report_of(ASSETS), balances, tmp_path)
    more = pq.read_table(tmp_path / "index" / "00000.parquet").num_rows - 2 * 3000
    assert 0 < more <= 3000 // 8
    assert commitment.leaf_count <= 3000 * 2 * 18 // 16 + 3000 // 8


def test_the_same_secret_makes_the_same_tree_and_another_report_shares_nothing_with_it(tmp_path: Path) -> None:
    balances = some_users(300)
    first = commit_to(report_of(ASSETS), balances, tmp_path / "1")
    assert commit_to(report_of(ASSETS), balances, tmp_path / "2") == first
    for changed in ({"revision": 2}, {"secret": b"another secret of thirty-two bytes"}):
        report = report_of(ASSETS, revision=changed.get("revision", 1))  # type: ignore[arg-type]
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        other = commit_to(report, balances, folder, **{name: value for name, value in changed.items() if name == "secret"})
        assert other.totals == first.totals
        old, new = (set(reference.check_tree(place / "tree").values()) for place in (tmp_path / "1", folder))
        assert not {hashed for hashed, _ in old} & {hashed for hashed, _ in new}
