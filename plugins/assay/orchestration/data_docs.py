"""Great Expectations' Data Docs as pages that need no other server: their own first page is empty without scripts from elsewhere."""

from __future__ import annotations

import html
import re
from pathlib import Path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem auto; padding: 0 1rem; max-width: 76rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem; }
nav img, .btn, footer, form, [data-toggle="modal"], .modal { display: none; }
.fa-check-circle::before { content: "\\2713"; } .fa-times::before { content: "\\2717"; } .fa-exclamation-triangle::before { content: "!"; }
"""
_FAILED = re.compile(r"Unsuccessful Expectations.{0,400}?>\s*(\d+)\s*<", re.DOTALL)


def index(folder: Path) -> str:
    """Return a page that links to the results and the rules of every dataset, and says how many rules were not met."""
    rows = []
    for file in sorted(folder.glob("validations/**/*.html")):
        name = file.relative_to(folder / "validations").parts[0]
        found = _FAILED.search(file.read_text(encoding="utf-8"))
        rules = f"expectations/{name}.html"
        rows.append(
            f'<tr><td><a href="{html.escape(file.relative_to(folder).as_posix())}">{html.escape(name)}</a></td>'
            f"<td>{found.group(1) if found else 'see there'}</td>"
            f"<td>{f'<a href={chr(34)}{html.escape(rules)}{chr(34)}>rules</a>' if (folder / rules).is_file() else ''}</td></tr>"
        )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Data Docs</title><style>{_STYLE}</style></head><body>'
        "<h1>What the expectations found</h1><p>These pages show rows. They are not for the public.</p>"
        f"<table><tr><th>dataset</th><th>rules not met</th><th></th></tr>{''.join(rows)}</table></body></html>"
    )


def readable(file: Path) -> str:
    """Return a page of the Data Docs with a style of its own, since the one it asks for comes from another server."""
    return file.read_text(encoding="utf-8").replace("</head>", f"<style>{_STYLE}</style></head>", 1)
