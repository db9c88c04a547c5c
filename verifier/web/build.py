"""Puts `src/` together into `index.html`: one file that needs no server and asks for nothing.

The modules are written one after the other into one script, and the page's content-security-policy names that script and the
style by their SHA-256, so that nothing else can run. Run it after a change in `src/`: `python verifier/web/build.py`. It needs
Python alone.
"""

# ruff: noqa: INP001 (a script, no package)
from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "src"
PAGE = HERE / "index.html"

# Each after those that it imports.
MODULES = (
    "sha256",
    "refusal",
    "strict_json",
    "amounts",
    "proof",
    "sum_tree",
    "okx",
    "okx_path",
    "okx_tree",
    "bitmex",
    "manifest",
    "files",
    "outcome",
    "own_verdict",
    "foreign_verdict",
    "verdict",
    "dom",
    "path_layout",
    "picture",
    "balances",
    "results",
    "page",
)

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48" fill="none" stroke="#0b8a7e" stroke-width="4" stroke-linecap="round">'
    '<path d="M9 40V33Q9 25 16 25Q24 25 24 17V10M24 17Q24 25 32 25Q39 25 39 33V40"/>'
    '<circle cx="24" cy="8" r="5" fill="#0b8a7e"/><circle cx="9" cy="40" r="4" fill="#0b8a7e"/></svg>'
)

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function|class) (\w+))", re.MULTILINE)


def script() -> str:
    """All modules as one classic script, each in a function of its own that returns what the module exports."""
    return '"use strict";\n' + "\n\n".join(_as_function(name) for name in MODULES) + "\n"


def _as_function(name: str) -> str:
    module = (SOURCES / f"{name}.js").read_text(encoding="utf-8")
    exported = ", ".join(_EXPORT.findall(module))
    body = _EXPORT.sub("", _IMPORT.sub(r"const {\1} = \2_js;", module)).strip()
    return f"const {name}_js = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();"


def policy(code: str, style: str) -> str:
    """The content-security-policy: nothing is fetched, nothing is sent, and only this script and this style apply."""
    rules = {
        "default-src": "'none'",
        "script-src": _source(code),
        "style-src": _source(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def page() -> str:
    """The whole page."""
    code = script()
    style = (SOURCES / "page.css").read_text(encoding="utf-8")
    for text, end in ((code, "</script"), (style, "</style")):
        if end in text.lower() or "<!--" in text:
            raise ValueError(f"{end} inside a source would end it early")
    pieces = {"policy": policy(code, style), "icon": f"data:image/svg+xml,{quote(ICON)}", "style": style, "script": code}
    template = (SOURCES / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: pieces[found[1]], template)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
