"""A whole tree: small ones of every shape hold, and every altered file of one is refused. The trees are tree_maker's."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay_verify.findings import Exit, UnusableInputError
from assay_verify.sum_tree import inclusion, shards, tree
from assay_verify.sum_tree.inclusion import Expected
from assay_verify.sum_tree.tree import VerifiedTree
from tests.verifier.sum_tree.tree_maker import Tree, amounts_bytes, make_tree, sample_tree, sha, write_json, written

TREE = sample_tree(21)
FILES = ["leaves/00000.parquet", "leaves/00002.parquet", "nodes/00001.parquet", "nodes/00002.parquet", "top.parquet"]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TREE.write(tmp_path_factory.mktemp("tree") / "liability_tree")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "liability_tree"))


def verify(folder: Path) -> VerifiedTree:
    return tree.verify(folder, processes=1)


def failures(verified: VerifiedTree) -> list[str]:
    return [failure for made in verified.findings.checks for failure in made.failures]


def assert_refused(verified: VerifiedTree, *, saying: str = "") -> None:
    assert verified.findings.exit_code == Exit.FAILED
    said = failures(verified)
    assert any(saying in failure for failure in said), said
    assert all(len(failure) < 400 and "\n" not in failure for failure in said)
    assert not verified.proven


@pytest.mark.parametrize("shard_leaves", [1, 2, 4, 8, 16, 32, 1 << 18])
@pytest.mark.parametrize("leaf_count", [15, 16, 17, 21, 32, 33])
def test_trees_of_every_shape_hold(tmp_path: Path, leaf_count: int, shard_leaves: int) -> None:
    made = sample_tree(leaf_count)
    verified = verify(made.write(tmp_path / "liability_tree", shard_leaves))
    assert verified.findings.exit_code == Exit.HELD, failures(verified)
    assert (verified.leaves, verified.nodes) == (leaf_count, sum(map(len, made.levels[1:])))
    assert verified.totals == [("BTC", "0.0001004"), ("USDT", "500,000,000,000,000.000035")]


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_trees_hold(tmp_path: Path, data: st.DataObject) -> None:
    assets = tuple((f"A{at}", 8) for at in range(data.draw(st.integers(1, 4))))
    balances = st.tuples(*[st.integers(0, 10**36) | st.sampled_from([0, 2**64 - 1, 2**64])] * len(assets))
    users = data.draw(st.dictionaries(st.text(max_size=4), st.lists(balances, min_size=2, max_size=5).map(tuple), min_size=1, max_size=8))
    made = make_tree(users, assets=assets, leaf_count=sum(map(len, users.values())) + data.draw(st.integers(0, 40)))
    place = tmp_path / hashlib.sha256(repr(users).encode()).hexdigest()[:16]
    shutil.rmtree(place, ignore_errors=True)
    row_group = data.draw(st.sampled_from([1, 3, 1000]))
    assert verify(made.write(place, 1 << data.draw(st.integers(0, 5)), row_group=row_group)).findings.exit_code == Exit.HELD


def test_large_amounts_and_pieces_that_end_within_row_groups_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay_verify.sum_tree.node_rows._MOST_ROWS", 6)
    monkeypatch.setattr(shards, "_KEPT", 100)  # levels are read again, not kept
    made = sample_tree(33)
    assert verify(made.write(tmp_path / "liability_tree", 32, row_group=7)).findings.exit_code == Exit.HELD


def test_several_processes_find_the_same(folder: Path) -> None:
    assert tree.verify(folder, processes=2).findings.exit_code == Exit.HELD
    change(folder / "nodes/00001.parquet", "hash", 1, b"\xab" * 32)
    many, one = tree.verify(folder, processes=2), verify(folder)
    assert failures(many) == failures(one) != []


def change(path: Path, column: str, row: int, value: Any) -> None:
    """Replace one cell of a file, and keep everything else as it was."""
    table = pq.read_table(path)
    cells = table.column(column).to_pylist()
    cells[row] = value
    kind = table.schema.field(column).type
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(cells, kind)), path, row_group_size=5)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("row", [0, 1, -1])
@pytest.mark.parametrize("column", ["level", "position", "hash", "BTC", "USDT"])
def test_every_altered_cell_is_refused(folder: Path, name: str, row: int, column: str) -> None:
    cells = pq.read_table(folder / name).column(column).to_pylist()
    row %= len(cells)
    value = cells[row]
    others: list[Any] = [None]
    others += (
        [value + 1, value - 1, -value if value else -1]
        if column != "hash"
        else [bytes([value[0] ^ 1]) + value[1:], value[:31], value + b"\0", b""]
    )
    for other in others:
        shutil.copy(folder / name, folder.parent / "kept.parquet")
        change(folder / name, column, row, other)
        assert_refused(verify(folder))
        shutil.move(folder.parent / "kept.parquet", folder / name)
    assert verify(folder).findings.exit_code == Exit.HELD


def rewrite(path: Path, make: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(make(pq.read_table(path)), path, row_group_size=5)


def swapped(table: pa.Table) -> pa.Table:
    order = list(range(table.num_rows))
    order[0], order[-1] = order[-1], order[0]
    return table.take(order)


def with_type(column: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.schema.get_field_index(column), column, pc.cast(table.column(column), kind, safe=False))


WAYS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "an extra row": lambda table: pa.concat_tables([table, table.slice(0, 1)]),
    "a missing row": lambda table: table.slice(1),
    "a missing last row": lambda table: table.slice(0, table.num_rows - 1),
    "no rows": lambda table: table.slice(0, 0),
    "rows out of order": swapped,
    "an extra column": lambda table: table.append_column("user", table.column("level")),
    "a missing column": lambda table: table.drop_columns(["USDT"]),
    "columns out of order": lambda table: table.select(["level", "position", "hash", "USDT", "BTC"]),
    "columns swapped by name": lambda table: table.rename_columns(["level", "position", "hash", "USDT", "BTC"]),
    "level as text": with_type("level", pa.string()),
    "position as level's type": with_type("position", pa.int32()),
    "hash as text": lambda table: table.set_column(2, "hash", pa.array([value.hex() for value in table.column("hash").to_pylist()])),
    "amounts as floats": with_type("BTC", pa.float64()),
    "amounts with NaN": lambda table: table.set_column(3, "BTC", pa.array([float("nan")] * table.num_rows)),
    "amounts as integers": with_type("BTC", pa.int64()),
    "amounts of another scale": with_type("BTC", pa.decimal128(38, 2)),
    "amounts of another precision": with_type("BTC", pa.decimal128(30, 0)),
}


@pytest.mark.parametrize("name", ["leaves/00000.parquet", "nodes/00000.parquet", "top.parquet"])
@pytest.mark.parametrize("way", WAYS)
def test_a_file_of_another_shape_is_refused(folder: Path, name: str, way: str) -> None:
    rewrite(folder / name, WAYS[way])
    assert_refused(verify(folder), saying=name)


def test_a_fixed_width_hash_column_is_as_good(folder: Path) -> None:
    for kind in (pa.binary(32), pa.large_binary()):
        rewrite(folder / "leaves/00000.parquet", with_type("hash", kind))
        assert verify(folder).findings.exit_code == Exit.HELD


@pytest.mark.parametrize("name", [*FILES, "commitment.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    if name == "commitment.json":
        with pytest.raises(UnusableInputError, match=name):
            verify(folder)
        return
    assert_refused(verify(folder), saying=f"{name} is missing")


@pytest.mark.parametrize("name", ["leaves/00003.parquet", "nodes/0.parquet", "top.parquet.bak", "leaves/deep/00000.parquet", "a\x1b[2J"])
def test_an_extra_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    shutil.copy(folder / "leaves/00000.parquet", folder / name)
    assert_refused(verify(folder), saying="does not belong there")


def test_a_link_is_refused(folder: Path) -> None:
    moved = folder.parent / "top.parquet"
    shutil.move(folder / "top.parquet", moved)
    (folder / "top.parquet").symlink_to(moved)
    assert_refused(verify(folder), saying="is a link")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_parquet_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert_refused(verify(folder), saying=f"{name} cannot be read as Parquet")


def test_a_damaged_page_is_refused(folder: Path) -> None:
    path = folder / "leaves/00000.parquet"
    content = bytearray(path.read_bytes())
    for at in range(8, len(content) // 3):
        content[at] ^= 0x55
    path.write_bytes(content)
    assert_refused(verify(folder))


@pytest.mark.parametrize("member", [*TREE.commitment_file(8), "assets/limit", "assets/decimals", "root/balances", "root/hash"])
def test_every_altered_member_of_the_commitment_is_refused(folder: Path, member: str) -> None:
    values: dict[str, Any] = TREE.commitment_file(8)
    asset, root = values["assets"][0], values["root"]
    others: dict[str, Any] = {
        "as_of": "2023-02-18T16:00:00Z",
        "assets": values["assets"][:1],
        "assets/limit": {**values, "assets": [{**asset, "limit": str(int(asset["limit"]) - 1)}, values["assets"][1]]},
        "assets/decimals": {**values, "assets": [{**asset, "decimals": 9}, values["assets"][1]]},
        "commitment": "ab" * 32,
        "format": "assay-sum-tree-v2",
        "leaf_count": 22,
        "revision": 2,
        "root": {**root, "comment": ""},
        "root/balances": {**values, "root": {**root, "balances": ["1", "1"]}},
        "root/hash": {**values, "root": {**root, "hash": "ab" * 32}},
        "series": "other",
        "shard_leaves": 16,
    }
    write_json(folder / "commitment.json", others[member] if "/" in member else {**values, member: others[member]})
    assert_refused(verify(folder))


@pytest.mark.parametrize("shard_leaves", [0, 3, -8, 1 << 41])
def test_a_number_of_leaves_in_a_file_that_is_no_power_of_two_is_refused(folder: Path, shard_leaves: int) -> None:
    write_json(folder / "commitment.json", TREE.commitment_file(shard_leaves))
    assert_refused(verify(folder), saying="shard_leaves")


def test_a_commitment_for_more_files_than_there_are_names_is_refused(folder: Path) -> None:
    values = TREE.commitment_file(1)
    count = 1 << 40
    values["leaf_count"] = count
    values["commitment"] = sha(b"\x05", TREE.context, count.to_bytes(8, "big"), TREE.root[0], amounts_bytes(TREE.root[1])).hex()
    write_json(folder / "commitment.json", values)
    assert_refused(verify(folder), saying="names have five digits")


@pytest.mark.parametrize("content", ["", "{}", "[]", "nonsense", '{"a":' * 100_000, " " * (5 << 20)], ids=range(6))
def test_a_commitment_file_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "commitment.json").write_text(content)
    assert_refused(verify(folder))


def test_a_commitment_file_in_another_form_is_refused(folder: Path) -> None:
    (folder / "commitment.json").write_text(json.dumps(TREE.commitment_file(8)))
    assert_refused(verify(folder), saying="canonical")


# -- Trees that their publisher made wrong, with all hashes above computed anew --


def lie(tmp_path: Path, change_levels: Callable[[Tree], None], from_level: int) -> VerifiedTree:
    made = sample_tree(21)
    change_levels(made)
    del made.levels[from_level + 1 :]
    while len(made.levels[-1]) > 1:
        made.levels.append(made.above(len(made.levels) - 1))
    return verify(made.write(tmp_path / "liability_tree"))


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_node_with_less_than_its_children_is_refused(tmp_path: Path, level: int) -> None:
    """The total is made lower half-way up; everything above follows from that."""

    def change_levels(made: Tree) -> None:
        digest, balances = made.levels[level][1]
        made.levels[level][1] = (digest, (balances[0] - 1 if balances[0] else 0, balances[1] - 1))

    assert_refused(lie(tmp_path, change_levels, level), saying=f"level {level}, position 1: the balances are not the sums")


def test_a_root_that_claims_less_than_is_below_it_is_refused(folder: Path) -> None:
    less = (TREE.root[1][0] - 1, TREE.root[1][1])
    commitment = TREE.commitment_to(TREE.root[0], less).hex()
    write_json(folder / "commitment.json", {**TREE.commitment_file(8), "root": written((TREE.root[0], less)), "commitment": commitment})
    assert_refused(verify(folder), saying="the tree's total is 10040, and 10039 is committed to")


def test_a_root_of_another_tree_is_refused(folder: Path) -> None:
    other = bytes(32)
    commitment = TREE.commitment_to(other, TREE.root[1]).hex()
    write_json(folder / "commitment.json", {**TREE.commitment_file(8), "root": written((other, TREE.root[1])), "commitment": commitment})
    assert_refused(verify(folder), saying="another is committed to")


def test_sums_of_more_than_38_digits_are_refused(tmp_path: Path) -> None:
    """Sums, hashes and commitment are right; the format has no such amounts, and further up they would not fit into 16 bytes."""
    most = 10**38 - 1
    made = make_tree({"whale": ((most, 0), (1, 0)), "other": ((0, 0), (0, 0))}, leaf_count=16)
    assert made.root[1] == (10**38, 0)
    verified = verify(made.write(tmp_path / "liability_tree", limits=(most, 0)))
    assert_refused(verified, saying="below 10^38")
    low = {**made.commitment_file(8, (most, 0)), "root": written((made.root[0], (most, 0)))}
    low["commitment"] = made.commitment_to(made.root[0], (most, 0)).hex()
    write_json(tmp_path / "liability_tree/commitment.json", low)
    assert_refused(verify(tmp_path / "liability_tree"), saying="of more than 38 digits")


def test_a_negative_leaf_is_refused(tmp_path: Path) -> None:
    folder = sample_tree(21).write(tmp_path / "liability_tree")
    change(folder / "leaves/00000.parquet", "BTC", 3, Decimal(-5))
    assert_refused(verify(folder), saying="below zero")


def test_a_leaf_above_the_limit_is_refused(tmp_path: Path) -> None:
    verified = verify(sample_tree(21).write(tmp_path / "liability_tree", limits=(4000, 10**20)))
    assert_refused(verified, saying="with more 'BTC' than its limit")
    shutil.rmtree(tmp_path / "liability_tree")
    assert verify(sample_tree(21).write(tmp_path / "liability_tree", limits=(4001, 10**20))).findings.exit_code == Exit.HELD


def test_a_number_of_leaves_outside_the_size_classes_is_said(tmp_path: Path) -> None:
    assert not verify(sample_tree(42).write(tmp_path / "even")).notices
    assert verify(sample_tree(33).write(tmp_path / "odd")).notices


# -- With a publication --


def publication(
    tmp_path: Path, *, gross: int | None = None, table: dict[str, Any] | None = None, manifest: dict[str, Any] | None = None
) -> Path:
    """A folder with what of a publication this command reads."""
    folder = tmp_path / "2023-02-17T160000Z"
    TREE.write(folder / "liability_tree")
    (folder / "tables").mkdir()
    symbols, decimals = [symbol for symbol, _ in TREE.assets], [count for _, count in TREE.assets]
    totals = list(TREE.root[1])
    ratios: dict[str, Any] = {
        "asset": symbols,
        "decimals": decimals,
        "liabilities_gross": [totals[0] if gross is None else gross, totals[1]],
    }
    limits = [int(entry["limit"]) for entry in TREE.commitment_file(8)["assets"]]
    commitment: dict[str, Any] = {
        "asset": symbols,
        "decimals": decimals,
        "total": totals,
        "leaf_limit": limits,
        "leaf_count": [len(TREE.leaves)] * 2,
        "root_hash": [TREE.root[0].hex()] * 2,
        "commitment": [TREE.commitment.hex()] * 2,
        **(table or {}),
    }
    for name, columns in (("reserve_ratios", ratios), ("liability_commitment", commitment)):
        amounts = {"liabilities_gross", "total", "leaf_limit"}
        made = {key: pa.array(map(Decimal, values), pa.decimal128(38, 0)) if key in amounts else values for key, values in columns.items()}
        pq.write_table(pa.table(made), folder / "tables" / f"{name}.parquet")
    write_manifest(folder, manifest or {})
    return folder


def write_manifest(folder: Path, overrides: dict[str, Any] | None = None) -> None:
    files: list[dict[str, Any]] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"):
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        more = {"rows": 2, "rows_sha256": "00" * 32} if name.startswith("tables/") else {}
        files.append({"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content), **more})
    values = {
        "as_of": TREE.as_of,
        "code_version": "test",
        "configuration_sha256": "00" * 32,
        "entity": "Sandbox",
        "files": sorted(files, key=lambda item: item["path"].encode()),
        "format": "assay-manifest-v1",
        "liability_commitment": TREE.commitment.hex(),
        "previous": None,
        "replaces": None,
        "revision": 1,
        "series": TREE.series,
        "snapshot_blocks": [],
        "sources": [],
    }
    write_json(folder / "manifest.json", {**values, **(overrides or {})})


def test_a_publication_whose_tables_say_what_its_tree_says_holds(tmp_path: Path) -> None:
    verified = verify(publication(tmp_path))
    assert verified.findings.exit_code == Exit.HELD, failures(verified)
    assert len(verified.proven) == 2


def test_a_total_that_differs_in_one_unit_is_refused(tmp_path: Path) -> None:
    verified = verify(publication(tmp_path, gross=TREE.root[1][0] + 1))
    assert_refused(verified, saying="'BTC': liabilities are 10041, the tree's total is 10040")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("asset", ["BTC", "USDC"]),
        ("decimals", [8, 7]),
        ("total", [1, 2]),
        ("leaf_limit", [1, 2]),
        ("leaf_count", [21, 22]),
        ("root_hash", ["ab" * 32] * 2),
        ("commitment", ["ab" * 32] * 2),
    ],
)
def test_a_table_that_says_something_else_is_refused(tmp_path: Path, column: str, values: list[Any]) -> None:
    assert_refused(verify(publication(tmp_path, table={column: values})))


@pytest.mark.parametrize(
    ("member", "value"),
    [("liability_commitment", "ab" * 32), ("series", "other"), ("as_of", "2023-02-18T16:00:00Z"), ("liability_commitment", "x")],
)
def test_a_manifest_that_says_something_else_is_refused(tmp_path: Path, member: str, value: str) -> None:
    assert_refused(verify(publication(tmp_path, manifest={member: value})))


def test_a_tree_that_was_exchanged_for_another_sound_one_is_refused(tmp_path: Path) -> None:
    folder = publication(tmp_path)
    shutil.rmtree(folder / "liability_tree")
    sample_tree(21, seed=2).write(folder / "liability_tree")
    assert_refused(verify(folder), saying="is not what the manifest lists")


def test_a_file_compressed_anew_is_another_file(tmp_path: Path) -> None:
    folder = publication(tmp_path)
    path = folder / "liability_tree/top.parquet"
    pq.write_table(pq.read_table(path), path, compression="snappy")
    assert_refused(verify(folder), saying="'top.parquet' is not what the manifest lists")


def test_an_asset_with_liabilities_that_is_not_in_the_tree_is_refused(tmp_path: Path) -> None:
    folder = publication(tmp_path)
    path = folder / "tables/reserve_ratios.parquet"
    for owed, code in ((0, Exit.HELD), (1, Exit.FAILED)):
        more = pa.table({"asset": ["ZEC"], "decimals": [8], "liabilities_gross": pa.array([Decimal(owed)], pa.decimal128(38, 0))})
        pq.write_table(pa.concat_tables([pq.read_table(path).slice(0, 2), more]), path)
        write_manifest(folder)
        assert verify(folder).findings.exit_code == code


@pytest.mark.parametrize(("column", "values"), [("asset", ["BTC", "BTC"]), ("asset", ["BTC", "ETH"]), ("decimals", [8, 8])])
def test_ratios_of_other_assets_are_refused(tmp_path: Path, column: str, values: list[Any]) -> None:
    folder = publication(tmp_path)
    rewrite(
        folder / "tables/reserve_ratios.parquet",
        lambda table: table.set_column(table.schema.get_field_index(column), column, pa.array(values)),
    )
    write_manifest(folder)
    assert_refused(verify(folder))


@pytest.mark.parametrize("table", ["reserve_ratios", "liability_commitment"])
def test_a_missing_table_is_refused(tmp_path: Path, table: str) -> None:
    folder = publication(tmp_path)
    (folder / "tables" / f"{table}.parquet").unlink()
    write_manifest(folder)
    assert_refused(verify(folder), saying=f"the table {table} is missing")


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_a_folder_without_a_tree_is_unusable(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UnusableInputError):
        verify(tmp_path / name)
    folder = publication(tmp_path)
    shutil.rmtree(folder / "liability_tree")
    with pytest.raises(UnusableInputError, match="liability_tree"):
        verify(folder)


def test_a_proof_is_held_against_the_publication(tmp_path: Path) -> None:
    folder = publication(tmp_path)
    proof = TREE.proof("user-1")
    against = Expected(user_id="user-1", publication=folder)
    assert inclusion.check(proof, against).findings.exit_code == Exit.HELD
    other = sample_tree(21, seed=2)
    assert inclusion.check(other.proof("user-1"), against).findings.exit_code == Exit.FAILED
    path = folder / "liability_tree/commitment.json"
    write_json(path, {**TREE.commitment_file(8), "shard_leaves": 16})
    said = [failure for made in inclusion.check(proof, against).findings.checks for failure in made.failures]
    assert said == ["the manifest does not list this commitment.json"]
    write_json(path, TREE.commitment_file(8, (1000, 10**20)))
    write_manifest(folder)
    said = [failure for made in inclusion.check(proof, against).findings.checks for failure in made.failures]
    assert said == ["part 0: more BTC than commitment.json lets a leaf hold"]
    path.unlink()
    assert inclusion.check(proof, against).findings.exit_code == Exit.FAILED
    assert written(TREE.root) == proof["root"]
