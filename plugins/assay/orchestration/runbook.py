"""The runbook as a page, from the file that this version came with."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import assay

_PACKAGE = Path(assay.__file__).resolve().parent
_PLACES = (_PACKAGE / "shipped" / "docs" / "runbook.md", _PACKAGE.parent.parent / "docs" / "runbook.md")
"""In an installed package, and in a checkout; as `resources.py` has it for what tasks read."""


def path() -> Path | None:
    """Return the file; None where the installation came without it."""
    return next((place for place in _PLACES if place.is_file()), None)


def page(file: Path) -> str:
    """Write the runbook as HTML; headings carry the anchors that notices and links name."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(file.read_text(encoding="utf-8"))
    for token, content in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(content.content))
    body = MarkdownIt("commonmark", {"html": False}).enable("table").renderer.render(tokens, MarkdownIt().options, {})
    style = (Path(__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    return f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Runbook</title><style>{style}</style></head><body>{body}</body></html>'


def anchor(heading: str) -> str:
    """Return the anchor of a heading as code hosts make it: lower case, words joined by hyphens, no other signs."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
