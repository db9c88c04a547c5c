"""A publication in which an asset is not fully backed never ends like any other: the words say so wherever somebody reads them."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from assay.terminal import show
from tests.orchestration.test_publication_notice import make_short
from tests.publication.lake import publish_moment
from tests.publication.sample import FIRST


def shown(folder: Path) -> str:
    out = io.StringIO()
    show(folder, Console(file=out, width=80))
    return out.getvalue()


def test_show_says_whether_every_asset_is_fully_backed(tmp_path: Path) -> None:
    folder = publish_moment(tmp_path, FIRST).folder
    assert "Every asset is fully backed." in shown(folder)
    make_short(folder, "BTC")
    said = shown(folder)
    assert "SHORTFALL: not fully backed. BTC is short by 1.50000000 BTC." in said
    assert "Every asset" not in said
