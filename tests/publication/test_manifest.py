from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import rfc8785

from assay.errors import PublicationError
from assay.lake import sha256_of
from assay.publication import manifest
from assay.warehouse.digest import canonical_digest

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "manifest.md"


@pytest.fixture
def values(published: Path) -> dict[str, object]:
    return manifest.read(published / "2023-02-17T160000Z")


def test_the_manifest_is_canonical_json_without_a_wall_clock_time_or_an_address(published: Path) -> None:
    content = (published / "2023-02-17T160000Z" / "manifest.json").read_bytes()
    assert rfc8785.dumps(json.loads(content)) == content
    assert b"://" not in content
    assert b"2023-03-01" not in content


def test_every_file_is_listed_with_size_and_digest_in_the_order_of_its_bytes(published: Path) -> None:
    folder = published / "2023-02-17T160000Z"
    files = manifest.read(folder)["files"]
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert [item["path"] for item in files] == sorted(found.keys() - {"manifest.json"}, key=str.encode)
    for item in files:
        assert (item["size"], item["sha256"]) == (found[item["path"]].stat().st_size, sha256_of(found[item["path"]]))


def test_tables_carry_row_count_and_canonical_digest(published: Path) -> None:
    folder = published / "2023-02-17T160000Z"
    tables = {item["path"]: item for item in manifest.read(folder)["files"] if "rows" in item}
    assert set(tables) == {f"tables/{name}.parquet" for name in manifest.TABLES}
    for path, item in tables.items():
        assert item["rows"] == pq.read_metadata(folder / path).num_rows
        assert item["rows_sha256"] == canonical_digest(folder / path)


def test_it_names_sources_by_name_and_kind_and_how_many_agreed(values: dict[str, object]) -> None:
    assert values["sources"][1] == {  # type: ignore[index]
        "chain": "bitcoin",
        "asked": 2,
        "agreed": 2,
        "sources": [{"kind": "electrum", "name": "bitcoin-1"}, {"kind": "electrum", "name": "bitcoin-2"}],
    }


def test_it_names_the_publication_before_by_moment_and_digest(published: Path, values: dict[str, object]) -> None:
    before = (published / "2023-01-18T160000Z" / "manifest.json").read_bytes()
    assert values["previous"] == {
        "as_of": "2023-01-18T16:00:00Z",
        "folder": "2023-01-18T160000Z",
        "manifest_sha256": manifest.digest(before),
        "revision": 1,
    }
    assert json.loads(before)["previous"] is None


def test_members_are_those_of_the_specification(values: dict[str, object]) -> None:
    section = PAGE.read_text().partition("## Members")[2].partition("`files`, sorted")[0]
    assert set(values) == {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}


def test_a_manifest_of_another_format_is_refused(series: Path) -> None:
    path = series / "2023-02-17T160000Z" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"assay-manifest-v1", b"assay-manifest-v2"))
    with pytest.raises(PublicationError, match="not of the format assay-manifest-v1"):
        manifest.read(path.parent)


def test_differences_name_files_and_members() -> None:
    one = {"files": [{"path": "a", "sha256": "1"}, {"path": "b", "sha256": "1"}], "entity": "A", "series": "s"}
    other = {"files": [{"path": "a", "sha256": "2"}, {"path": "c", "sha256": "1"}], "entity": "B", "series": "s"}
    assert manifest.differences(one, other) == ["a", "b", "c", "entity"]
