from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay_verify.cli import main

SOURCE = Path(__file__).parents[2] / "verifier" / "src"
SECOND = "2023-02-17T160000Z"


def test_it_says_in_plain_words_what_was_and_was_not_proven(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publication", str(published / SECOND)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Sandbox Exchange, 2023-02-17T16:00:00Z, revision 1\n")
    assert "BTC: 103.88 %, 135.735 held and 130.664 owed" in said
    for heading in (
        "What this proves",
        "What this does not prove",
        "What the publication itself leaves open (8 items, 5 of them warnings)",
    ):
        assert heading in said
    assert "Everything that was checked held (23 checks" in said
    assert "\x1b" not in said


def test_json_holds_every_check_with_its_counts(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publication", str(published / SECOND), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["exit_code"]) == ("held", 0)
    assert document["publication"]["as_of"] == "2023-02-17T16:00:00Z"
    assert all(check["held"] and check["compared"] > 0 for check in document["checks"])
    assert len(document["coverage"]) == 8


def test_a_failure_shows_what_contradicts_what_and_ends_with_1(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (series / SECOND / "report.html").write_text("<p>all is well</p>")
    assert main(["publication", str(series / SECOND)]) == 1
    said = capsys.readouterr().out
    assert "report.html was changed" in said
    assert "Do not rely on it" in said


def test_many_failures_are_counted_rather_than_printed(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (series / SECOND / "contracts").iterdir():
        path.unlink()
    assert main(["publication", str(series / SECOND)]) == 1
    assert "and 6 more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("nowhere", "does not exist. Give the folder of a publication"),
        (".", "holds publications and is none itself. Give one of them, the newest is"),
        (f"{SECOND}/manifest.json", "is a file"),
        (f"{SECOND}/tables", "has no manifest.json"),
        ("empty", "is empty. Nothing can be proven about nothing"),
    ],
)
def test_a_wrong_folder_ends_with_2_and_says_what_to_give(series: Path, capsys: pytest.CaptureFixture[str], folder: str, said: str) -> None:
    (series / "empty").mkdir()
    assert main(["publication", str(series / folder)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_large_folder_that_is_no_publication_is_not_searched_through(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = tmp_path / "deep"
    series.rename(deep_series := make_parents(deep / "b" / "c") / "series")
    assert main(["publication", str(deep)]) == 2
    assert "has no manifest.json" in capsys.readouterr().err
    assert main(["publication", str(deep_series.parent)]) == 2
    assert f"the newest is {deep_series / SECOND}" in capsys.readouterr().err


def make_parents(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_a_missing_log_ends_with_3_and_says_where_it_was_looked_for(series: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (series / "log.jsonl").rename(series / "moved.jsonl")
    assert main(["publication", str(series / SECOND)]) == 3
    assert "name it with --log, or do without it with --no-log" in " ".join(capsys.readouterr().out.split())
    assert main(["publication", str(series / SECOND), "--log", str(series / "moved.jsonl")]) == 0
    assert main(["publication", str(series / SECOND), "--no-log"]) == 0


def test_without_a_command_it_ends_with_2() -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2


def test_it_runs_as_a_module_on_its_own(published: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "assay_verify", "publication", str(published / SECOND), "--json"],
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "held"


def test_it_imports_nothing_but_the_standard_library_itself_and_what_it_declares() -> None:
    imported = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names == {
        "Crypto",
        "assay_verify",
        "coincurve",
        "eth_typing",
        "nacl",
        "loky",
        "py_ecc",
        "pyarrow",
        "rfc8785",
    }
