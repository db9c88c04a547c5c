from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.errors import QualityCrashError
from assay.quality.suites import EXPECTATIONS, Suite

GOOD = {
    "name": "sample",
    "expectations": [
        {
            "type": "unexpected_rows_expectation",
            "kwargs": {"unexpected_rows_query": "select a from {batch} cross join parameters where a > parameters.as_of"},
            "severity": "critical",
            "meta": {"name": "a", "rule": "A rule."},
        }
    ],
    "meta": {"key": ["a"]},
}


def load(folder: Path, text: str) -> Suite:
    (folder / "sample.json").write_text(text)
    return Suite.load("sample", folder)


def test_a_suite_knows_its_key_and_the_parameters_that_its_queries_need(tmp_path: Path) -> None:
    suite = load(tmp_path, json.dumps(GOOD))
    assert suite.key == ("a",)
    assert suite.parameters == {"as_of"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"critical"', '"fatal"'),
        ('"severity"', '"weight"'),
        ('"rule": "A rule."', '"rule": ""'),
        ('"name": "sample"', '"name": "other"'),
        ('"key"', '"keys"'),
        ("{", "["),
    ],
)
def test_a_malformed_suite_is_a_crash(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(QualityCrashError, match="not an expectation suite"):
        load(tmp_path, json.dumps(GOOD).replace(old, new))


def test_a_missing_suite_is_a_crash(tmp_path: Path) -> None:
    with pytest.raises(QualityCrashError, match="not an expectation suite"):
        Suite.load("sample", tmp_path)


@pytest.mark.parametrize("path", sorted(EXPECTATIONS.glob("*.json")), ids=lambda path: path.stem)
def test_the_projects_suites_state_their_rules_in_sentences(path: Path) -> None:
    suite = Suite.load(path.stem, EXPECTATIONS)
    for item in suite.expectations:
        assert item["meta"]["rule"].endswith("."), item["meta"]["name"]
    assert path.read_text() == json.dumps(json.loads(path.read_text()), indent=2, ensure_ascii=False) + "\n"
