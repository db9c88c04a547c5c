"""`docs/configuration.md` is what the types say, and lists every key that the program reads."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from assay.config import Settings
from assay.config_chains import Asset, Chain
from assay.errors import ConfigError
from assay.starting import reference
from assay.toml_table import TomlTable

ROOT = Path(__file__).resolve().parent.parent.parent
TABLES = r" \[(?P<single>[^\[\]]+)\]| \[\[(?P<list>[^\[\]]+)\]\] \d+"


def test_the_page_is_what_the_types_say() -> None:
    # Write it anew with: python -m assay.starting.reference docs/configuration.md
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference.page()


def test_a_key_without_a_meaning_is_an_error() -> None:
    @dataclass
    class Unsaid:
        """A table.

        Attributes:
            said: It is.
        """

        said: int = 0
        unsaid: int = 0

    with pytest.raises(ConfigError, match=r"Unsaid.unsaid: its meaning is not said"):
        list(reference.sections(Unsaid))


def test_a_meaning_on_several_lines_is_taken_whole() -> None:
    class Said:
        """A table.

        Attributes:
            one: It goes
                on.
            two: It ends.

        Returns:
            three: Not a key.
        """

    assert reference.attributes(Said) == {"one": "It goes on.", "two": "It ends."}


def test_every_key_that_is_read_is_listed(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chains = config_file.parent / "registry" / "chains.toml"
    # One chain as the catalogue knows it, so that `without` is read.
    chains.write_text(
        chains.read_text() + '[arbitrum]\nwithout = ["USDT"]\n[[arbitrum.sources]]\nname = "c"\nkind = "jsonrpc"\nconnection = "c"\n'
    )
    read: dict[str, set[str]] = {}
    check_keys = TomlTable.check_keys

    def noting(table: TomlTable, required: Collection[str], optional: Collection[str] = ()) -> None:
        path = Path(table.subject.partition(" [")[0]).name
        names = [found["single"] or found["list"] for found in re.finditer(TABLES, table.subject)]
        # Names of entries are the user's.
        generic = [{0: "*", 2: "*"}.get(depth, name) if path == "chains.toml" else name for depth, name in enumerate(names)]
        place = ".".join("*" if path == "assets.toml" else name for name in generic)
        read.setdefault(f"{path} {place}".strip(), set()).update(required, optional)
        check_keys(table, required, optional)

    monkeypatch.setattr(TomlTable, "check_keys", noting)
    Settings.load(config_file)
    listed: dict[str, set[str]] = {}
    for path, kind, place in (("assay.toml", Settings, ""), ("assets.toml", Asset, "SYMBOL"), ("chains.toml", Chain, "CHAIN")):
        for section in reference.sections(kind, place, f"[{place}]" if place else ""):
            name = section.header.strip("[]").replace("SYMBOL", "*").replace("CHAIN", "*")
            listed[f"{path} {name}".strip()] = {key.name for key in section.keys}
    tables = {"sources", "tokens", "ledger", "prices", "sign_off", "stability", "ownership", "commitment", "notices"}
    shipped = {place: keys for place, keys in read.items() if place in listed}
    assert {
        "assay.toml",
        "assay.toml ledger",
        "assay.toml prices.sources",
        "assets.toml *",
        "chains.toml *",
        "chains.toml *.sources",
    } <= set(shipped)
    for place, keys in shipped.items():
        assert keys - tables <= listed[place], place


def test_every_variable_that_the_program_names_is_listed() -> None:
    sources = [path.read_text(encoding="utf-8") for folder in ("plugins", "dags") for path in (ROOT / folder).rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"\"(ASSAY_[A-Z_]+)\"", text)}
    assert "ASSAY_CONFIG" in named
    assert named <= set(reference.VARIABLES)
