from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import sha256_of
from assay.publication import manifest, publish, staging
from assay.publication.log import FILE_NAME, Log
from tests.publication.lake import NOW, make_lake, settings_for, stage
from tests.publication.sample import FIRST, PRICES, SECOND, make_inputs
from tests.publication.sample import settings as sample_settings

OTHER_PRICES = PRICES[SECOND] | {"BTC": "24565.31"}


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def ready(series: Path, tmp_path: Path) -> Any:
    """A lake in which both moments are published, with what is needed to publish the second one again."""
    return make_inputs(tmp_path / "inputs", SECOND)


@pytest.fixture(scope="module")
def staged_first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("staged")
    return stage(root, make_inputs(root / "inputs", FIRST), FIRST)


@pytest.fixture
def first(staged_first: Path, tmp_path: Path) -> tuple[Settings, Path]:
    """The first moment, staged for an empty lake; it may be changed."""
    staged = Path(shutil.copytree(staged_first, tmp_path / "work"))
    return dataclasses.replace(sample_settings(tmp_path), lake=tmp_path / "lake"), staged


def test_two_runs_give_the_same_manifest_byte_for_byte(published: Path, tmp_path: Path) -> None:
    again = make_lake(tmp_path)
    assert tree(again) == tree(published)


def test_publishing_the_same_again_writes_nothing_and_says_so(series: Path, ready: Any, tmp_path: Path) -> None:
    before = tree(series)
    done = publish.publish(settings_for(ready, tmp_path), stage(tmp_path, ready, SECOND))
    assert done.repeated
    assert str(done).startswith("Nothing to do: 2023-02-17T16:00:00Z revision 1")
    assert tree(series) == before


def test_another_version_of_the_code_with_the_same_content_is_the_same(
    series: Path, ready: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "__version__", "99.0")
    assert publish.publish(settings_for(ready, tmp_path), stage(tmp_path, ready, SECOND)).repeated


def test_other_content_for_the_same_moment_is_refused_with_the_way_to_correct_it(series: Path, tmp_path: Path) -> None:
    other = make_inputs(tmp_path / "inputs", SECOND, prices=OTHER_PRICES)
    before = tree(series)
    with pytest.raises(PublicationError, match=r"other content: derived/deposit_deltas.csv and .* revision 2 and a reason"):
        publish.publish(settings_for(other, tmp_path), stage(tmp_path, other, SECOND))
    assert tree(series) == before


def test_a_correction_is_a_new_folder_that_names_what_it_replaces_and_why(series: Path, tmp_path: Path) -> None:
    other = make_inputs(tmp_path / "inputs", SECOND, prices=OTHER_PRICES)
    before = tree(series)
    done = publish.publish(settings_for(other, tmp_path), stage(tmp_path, other, SECOND, revision=2, reason="A price was wrong."), now=NOW)
    assert done.folder.name == "2023-02-17T160000Z.r2"
    values = manifest.read(done.folder)
    assert values["revision"] == 2
    assert values["replaces"]["reason"] == "A price was wrong."
    assert values["replaces"]["manifest_sha256"] == Log.read(series).entries[1].manifest_sha256
    assert values["previous"]["as_of"] == "2023-01-18T16:00:00Z"
    assert {name: content for name, content in tree(series).items() if name in before and name != FILE_NAME} == {
        name: content for name, content in before.items() if name != FILE_NAME
    }
    assert "A price was wrong." in (done.folder / "report.html").read_text()
    again = publish.publish(settings_for(other, tmp_path), stage(tmp_path, other, SECOND, revision=2, reason="A price was wrong."))
    assert again.repeated
    counted_on = stage(tmp_path, other, SECOND, revision=3, reason="A price was wrong.", work="again")
    settings = settings_for(other, tmp_path)
    for folder in (done.folder, counted_on):
        note_origin(settings, folder, "a" * 64)
    repeated = publish.publish(settings, counted_on)
    assert (repeated.repeated, repeated.folder) == (True, done.folder)
    assert len(Log.read(series).entries) == 3
    # The same totals over other balances of single users: every table is the same, and the tree cannot be compared.
    note_origin(settings, counted_on, "b" * 64)
    assert not publish.publish(settings, counted_on).repeated
    assert len(Log.read(series).entries) == 4


def note_origin(settings: Settings, publication: Path, liabilities: str) -> None:
    folder = settings.lake / "marts" / "origins" / sha256_of(publication / "manifest.json")
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "liabilities": "snapshot/x",
        "files": {"snapshot/x/liabilities/00000.parquet": liabilities, "snapshot/x/origin.json": folder.name},
    }
    (folder / "origin.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("revision", "reason"), [(2, ""), (1, "because"), (0, "because"), (3, "because"), (2, "   ")])
def test_a_correction_needs_the_next_revision_and_a_reason(series: Path, ready: Any, tmp_path: Path, revision: int, reason: str) -> None:
    with pytest.raises(PublicationError):
        publish.correction(settings_for(ready, tmp_path), as_of=SECOND, revision=revision, reason=reason)


def test_a_process_killed_between_renaming_and_logging_is_completed_by_running_again(
    ready: Any, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = tmp_path / "lake" / "publications" / "sandbox-exchange"
    first = make_inputs(tmp_path / "first", FIRST)
    shutil.rmtree(series)
    publish.publish(settings_for(first, tmp_path), stage(tmp_path, first, FIRST), now=NOW)
    staged, settings = stage(tmp_path, ready, SECOND), settings_for(ready, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", _die)
        with pytest.raises(KeyboardInterrupt):
            publish.publish(settings, staged)
    assert len(Log.read(series).entries) == 1
    assert not publish.publish(settings, staged, now=NOW).repeated
    assert tree(series) == tree(published)


def test_a_process_killed_while_copying_leaves_nothing_that_looks_published(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_inputs(tmp_path / "inputs", SECOND, prices=OTHER_PRICES)
    staged, settings = stage(tmp_path, other, SECOND, revision=2, reason="why"), settings_for(other, tmp_path)
    before = tree(series)
    leftover = series / ".2023-02-17T160000Z.r2.abandoned"
    leftover.mkdir()
    (leftover / "half").write_text("half a file")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", _die)
        with pytest.raises(KeyboardInterrupt):
            publish.publish(settings, staged)
    assert tree(series) == before
    publish.publish(settings, staged)
    assert not leftover.exists()
    assert len(Log.read(series).entries) == 3


def test_two_that_publish_at_once_make_one_publication(first: tuple[Settings, Path]) -> None:
    (settings, staged), outcomes = first, []
    threads = [threading.Thread(target=lambda: outcomes.append(publish.publish(settings, staged).repeated)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True, True, True]
    assert len(Log.read(publish.series_folder(settings)).entries) == 1


@pytest.mark.parametrize("change", ["edit", "add", "remove", "link"])
def test_a_staged_folder_that_differs_from_its_manifest_is_not_published(first: tuple[Settings, Path], change: str) -> None:
    settings, staged = first
    target = staged / "derived" / "reserve_ratios.csv"
    if change == "edit":
        target.write_text(target.read_text().replace("123.9", "999.9"))
    elif change == "add":
        (staged / "notes.txt").write_text("hello")
    elif change == "remove":
        target.unlink()
    else:
        (staged / "link").symlink_to(target)
    with pytest.raises(PublicationError):
        publish.publish(settings, staged)
    assert [path.name for path in publish.series_folder(settings).iterdir()] == [".lock"]


def test_a_publication_that_was_changed_in_place_is_not_called_the_same(series: Path, ready: Any, tmp_path: Path) -> None:
    path = series / "2023-02-17T160000Z" / "derived" / "reserve_ratios.csv"
    path.write_text(path.read_text().replace("135.735", "999.735"))
    with pytest.raises(PublicationError, match="not the file that the manifest lists"):
        publish.publish(settings_for(ready, tmp_path), stage(tmp_path, ready, SECOND))


def test_nothing_is_published_on_a_broken_log(series: Path, ready: Any, tmp_path: Path) -> None:
    staged = stage(tmp_path, ready, SECOND)
    log = series / FILE_NAME
    log.write_bytes(log.read_bytes().replace(b"2023-03-01", b"2023-03-02", 1))
    with pytest.raises(PublicationError, match=r"log\.jsonl, line 1"):
        publish.publish(settings_for(ready, tmp_path), staged)


def test_a_publication_computed_from_another_one_than_the_log_has_before_it_is_refused(series: Path, ready: Any, tmp_path: Path) -> None:
    staged = stage(tmp_path, ready, SECOND)
    shutil.rmtree(series)
    with pytest.raises(PublicationError, match="computed from another publication"):
        publish.publish(settings_for(ready, tmp_path), staged)


def test_published_files_cannot_be_written_by_accident(published: Path) -> None:
    files = [path for path in (published / "2023-02-17T160000Z").rglob("*") if path.is_file()]
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}


def test_a_table_that_is_not_meant_for_the_public_is_never_staged(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "inputs", FIRST)
    pq.write_table(pa.table({"user_key": ["ab"]}), inputs.tables / "liabilities.parquet")
    with pytest.raises(PublicationError, match="not among the tables that may be published"):
        stage(tmp_path, inputs, FIRST)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("missing", ["table", "contract", "evidence of a chain", "archives"])
def test_staging_stops_when_something_is_missing(tmp_path: Path, missing: str) -> None:
    inputs = make_inputs(tmp_path / "inputs", FIRST)
    if missing == "table":
        (inputs.tables / "prices.parquet").unlink()
    elif missing == "contract":
        (inputs.contracts / "prices.odcs.yaml").unlink()
    elif missing == "evidence of a chain":
        inputs = dataclasses.replace(inputs, evidence={chain: path for chain, path in inputs.evidence.items() if chain != "bitcoin"})
    else:
        shutil.rmtree(inputs.evidence["bitcoin"])
        inputs.evidence["bitcoin"].mkdir()
    with pytest.raises(PublicationError):
        stage(tmp_path, inputs, FIRST)


def test_evidence_that_names_a_server_is_never_published(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "inputs", FIRST)
    with pa.OSFile(str(inputs.evidence["bitcoin"] / "extra.jsonl.zst"), "wb") as file, pa.CompressedOutputStream(file, "zstd") as stream:
        stream.write(b'{"url":"https://node.example/v3/secret"}\n')
    with pytest.raises(PublicationError, match="names an address"):
        stage(tmp_path, inputs, FIRST)


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_tree_that_lost_a_file_or_does_not_add_up_is_not_staged(ready: Any, tmp_path: Path) -> None:
    leaves = ready.tree / "leaves" / "00000.parquet"
    content = leaves.read_bytes()
    leaves.unlink()
    with pytest.raises(PublicationError, match="files, not those of"):
        stage(tmp_path, ready, SECOND)
    table = pq.read_table(pa.BufferReader(content))
    column = table.column_names.index("BTC")
    fewer = pa.array([0] * table.num_rows, pa.int64()).cast(pa.decimal128(38, 0))
    pq.write_table(table.set_column(column, table.schema.field(column), fewer), leaves)
    with pytest.raises(PublicationError, match="leaves add up to 0, "):
        stage(tmp_path, ready, SECOND)


def test_a_tree_of_another_report_is_not_staged(ready: Any, tmp_path: Path) -> None:
    with pytest.raises(PublicationError, match="of another report"):
        stage(tmp_path, dataclasses.replace(ready, settings=dataclasses.replace(ready.settings, series="another")), SECOND)


def test_a_tree_beside_other_totals_is_not_staged(ready: Any, tmp_path: Path) -> None:
    path = ready.tables / "reserve_ratios.parquet"
    table = pq.read_table(path)
    column = table.column_names.index("liabilities_gross")
    more = pa.array([value + 1 for value in table.column(column).to_pylist()], table.schema.field(column).type)
    pq.write_table(table.set_column(column, table.schema.field(column), more), path)
    with pytest.raises(PublicationError, match="base units of BTC, and the tables say"):
        stage(tmp_path, ready, SECOND)
