"""The note of what a publication came from, where it does not say what is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.config import Settings
from assay.errors import EvidenceError
from assay.origin import index_of

DIGEST = "ab" * 32


def test_a_note_that_names_no_index_is_one_error(config_file: Path) -> None:
    settings = Settings.load(config_file)
    with pytest.raises(EvidenceError, match="there is no note"):
        index_of(settings, DIGEST)
    folder = settings.lake / "marts" / "origins" / DIGEST
    folder.mkdir(parents=True)
    for text, words in (("{}", "names no index"), ("{", "not JSON")):
        (folder / "origin.json").write_text(text)
        with pytest.raises(EvidenceError, match=words):
            index_of(settings, DIGEST)
