from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.chains.evidence import EvidenceArchive, canonical_line, read_archive
from assay.errors import SourceMismatchError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), json_values, json_values), max_size=6))
def test_what_was_recorded_reads_back_under_its_digest(
    tmp_path_factory: pytest.TempPathFactory, exchanges: list[tuple[str, object, object]]
) -> None:
    archive = EvidenceArchive("x")
    recorded = {archive.record(*exchange): exchange for exchange in exchanges}
    path = archive.write(tmp_path_factory.mktemp("evidence") / "a.jsonl.zst")
    found = {digest: (line["method"], line["params"], line["result"]) for digest, line in read_archive(path)}
    assert found == recorded


def test_the_order_of_answers_does_not_change_the_file(tmp_path: Path) -> None:
    first, second = EvidenceArchive("x"), EvidenceArchive("x")
    for number in (1, 2, 3):
        first.record("m", [number], number)
    for number in (3, 1, 2, 2):
        second.record("m", [number], number)
    assert first.write(tmp_path / "a").read_bytes() == second.write(tmp_path / "b").read_bytes()


def test_a_digest_is_the_sha256_of_the_line() -> None:
    digest = EvidenceArchive("x").record("m", {"b": 1, "a": [2**70]}, None)
    line = b'{"method":"m","params":{"a":[1180591620717411303424],"b":1},"result":null}'
    assert canonical_line({"method": "m", "params": {"b": 1, "a": [2**70]}, "result": None}) == line
    assert digest == hashlib.sha256(line).hexdigest()


def test_a_reference_to_nothing_is_refused() -> None:
    with pytest.raises(SourceMismatchError, match="never recorded"):
        EvidenceArchive("x").require("00")
