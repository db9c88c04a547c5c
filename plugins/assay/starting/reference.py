"""Writes `docs/configuration.md`, the reference of the configuration, from the types that read it: `python -m assay.starting.reference docs/configuration.md`.

A key's meaning is what the docstring of its dataclass says under Attributes; type and default are those of its field. A key without a meaning is an error,
so that none is added unsaid.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from assay.config import Settings
from assay.config_chains import Asset, Chain
from assay.descriptor_registry import COLUMNS as DESCRIPTOR_COLUMNS
from assay.descriptor_registry import ListedDescriptor
from assay.errors import ConfigError
from assay.registry import COLUMNS as WALLET_COLUMNS
from assay.registry import Wallet

_NOT_KEYS = {
    "Settings": {"path", "digest", "assets", "chains"},
    "Asset": {"symbol"},
    "Chain": {"name"},
    "Token": {"asset"},
}
"""Fields that no key states: they are computed, or are the name of the table."""

_MORE = {
    "Chain": {"without": (tuple[str, ...], (), "Assets whose known tokens of this chain are not counted.")},
}
"""Keys that are read and leave no field behind: type, default, meaning."""

_OPTIONAL = {
    "Chain": {"family", "asset"},
    "Asset": {"name", "decimals"},
    "Token": {"contract", "decimals", "source"},
}
"""Keys that are required of whatever the catalogue does not know, and taken from it otherwise."""

_CATALOGUE = "the catalogue's"
_TYPES = {str: "text", int: "integer", bool: "true or false", Path: "path"}
_LISTS = {"str": "list of texts", "int": "list of integers", "tuple[str, ...]": "list of lists of texts"}

_EXAMPLES: dict[str, Any] = {
    "series": "example-custodian",
    "entity": "Example Custodian",
    "lake": "data",
    "registry": "registry",
    "schedule": "0 16 17 * *",
    "notes": ["Balances of the subsidiary Example Ltd are not included."],
    "ledger.kind": "postgres",
    "ledger.connection": "assay_ledger",
    "ledger.pseudonym_connection": "assay_pseudonym",
    "ledger.folder": "ledger",
    "ledger.account_types": ["spot", "margin"],
    "ledger.excluded": ["structured products"],
    "prices.sources.name": "primary",
    "prices.sources.path": "prices/primary.csv",
    "sign_off.approvers": [["finance"], ["risk"]],
    "notices.smtp_connection": "assay_mail",
    "notices.mail_from": "assay@example.com",
    "notices.mail_to": ["treasury@example.com"],
    "notices.webhook_connection": "assay_webhook",
    "notices.runbook": "https://wiki.example.com/assay",
    "SYMBOL.name": "Tether USD",
    "SYMBOL.decimals": 6,
    "CHAIN.family": "evm",
    "CHAIN.asset": "ETH",
    "CHAIN.network": "regtest",
    "CHAIN.chain_id": 31337,
    "CHAIN.genesis": "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
    "CHAIN.confirmations": 6,
    "CHAIN.proofs": True,
    "CHAIN.without": ["USDT"],
    "CHAIN.tokens.SYMBOL.contract": "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "CHAIN.tokens.SYMBOL.decimals": 6,
    "CHAIN.tokens.SYMBOL.source": "https://tether.to/en/supported-protocols/",
    "CHAIN.tokens.SYMBOL.balance_slot": 2,
    "CHAIN.tokens.SYMBOL.slot_note": "rebasing",
    "CHAIN.sources.name": "ethereum_a",
    "CHAIN.sources.kind": "jsonrpc",
    "CHAIN.sources.connection": "assay_ethereum_a",
    "CHAIN.sources.requests_per_second": 50,
}
"""Where the default is no example: required keys, and those that are empty by default."""

VARIABLES = {
    "ASSAY_CONFIG": "The configuration file. Without it: `assay.toml` in the current folder (the command `assay`), else in AIRFLOW_HOME.",
    "ASSAY_AIRFLOW_URL": "Airflow's API server, for `assay attest`, `status` and `doctor`; `http://127.0.0.1:8080` without it.",
    "ASSAY_AIRFLOW_TOKEN": "A token of Airflow's API; it goes before user and password.",
    "ASSAY_AIRFLOW_USER": "User who logs in to Airflow's API for a token.",
    "ASSAY_AIRFLOW_PASSWORD": "That user's password.",
    "ASSAY_PROOF_SERVICE": "The path under which Airflow's API server gives users' proofs; none without it (docs/proof_service.md).",
}
"""Environment variables of Assay's own, and what each is for."""

_HEAD = """\
# Configuration

Written from the program by `python -m assay.starting.reference docs/configuration.md`; a test holds the two together. Paths are relative to the file
that names them. A key that is not listed here is refused. `assay init FOLDER` writes all that a deployment needs to begin with.
"""
_CONNECTIONS = """\
## Connections

Addresses and secrets stand in Airflow Connections and nowhere else: in variables `AIRFLOW_CONN_` with the connection's id in capitals, in Airflow's database, or in a
secrets backend. Written as JSON:

| field | of a source | of a ledger in PostgreSQL | of a ledger in MySQL | of drops in S3 | of the pseudonyms |
|---|---|---|---|---|---|
| `conn_type` | `generic` | `postgres` | `generic` | `generic` | `generic` |
| `schema` | `http`, `https`; `ssl` or `tcp` (Electrum); `file` | the database | `mysql`, `mysqls` (TLS) | `http`, `https` | – |
| `host`, `port` | of the server; `localhost` for `file` | of the server | of the server | of the storage | – |
| `login`, `password` | where it asks for them | of the role | of the user | access key, secret key | `password`: at least 32 random characters |
| `extra.path` | path with its query, a key in it included; Electrum: SHA-256 of the certificate; `file`: the folder | – | – | – | – |
| `extra.headers` | an object: headers that carry a key | – | – | – | – |

```sh
AIRFLOW_CONN_ASSAY_ETHEREUM_A='{"conn_type": "generic", "schema": "https", "host": "node.example", "extra": {"path": "v3/your-key"}}'
AIRFLOW_CONN_ASSAY_LEDGER='{"conn_type": "postgres", "host": "db.example", "port": 5432, "login": "assay", "password": "…", "schema": "exchange"}'
```
"""
_PRICES = {
    "asset": "Symbol of the asset; rows of assets that `assets.toml` does not list are passed over.",
    "price": "Of one whole unit, as decimal text with at most 8 decimals: `24322.87`.",
    "currency": "`USD`.",
    "time": "When it held, in UTC: `2023-02-17T16:00:00Z`.",
}


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a table.

    Attributes:
        name: As it is typed.
        kind: Type, in words.
        default: As TOML; empty for a required key.
        meaning: What it says.
        example: As TOML, key included.
    """

    name: str
    kind: str
    default: str
    meaning: str
    example: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A table: its header as it is typed (empty for the file's top), what it is for, and its keys."""

    header: str
    about: str
    keys: tuple[Key, ...]


def sections(kind: type, place: str = "", header: str = "") -> Iterator[Section]:
    """Yield a dataclass's table and all that stand in it, each with its keys.

    Args:
        kind: The dataclass.
        place: Dotted path to it.
        header: As TOML: `[ledger]`.

    Raises:
        ConfigError: A key has no meaning, or a type that has no name here.
    """
    meanings = attributes(kind)
    hints = get_type_hints(kind)
    keys, inner = [], []
    for field in dataclasses.fields(kind):
        if field.name in _NOT_KEYS.get(kind.__name__, ()):
            continue
        below = f"{place}.{field.name}".removeprefix(".")
        if found := _table(hints[field.name], below):
            inner.append(found)
        else:
            keys.append(_key(kind, below, _words(hints[field.name], below), _default(field), meanings.get(field.name)))
    for name, (hint, default, meaning) in _MORE.get(kind.__name__, {}).items():
        below = f"{place}.{name}".removeprefix(".")
        keys.append(_key(kind, below, _words(hint, below), _toml(default), meaning))
    yield Section(header, (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " "), tuple(keys))
    for table, where, title in inner:
        yield from sections(table, where, title)


def attributes(kind: type) -> dict[str, str]:
    """Return what a dataclass's docstring says of each field."""
    found: dict[str, str] = {}
    block = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    name = ""
    for line in block.splitlines():
        if start := re.match(r" {4}(\w+): (.*)", line):
            name, found[start[1]] = start[1], start[2]
        elif line.startswith("     ") and name:
            found[name] += f" {line.strip()}"
        else:
            break
    return found


def page() -> str:
    """Return the whole reference as Markdown.

    Raises:
        ConfigError: A key has no meaning.
    """
    parts = [_HEAD, *_file("assay.toml", "What is attested, and how.", sections(Settings))]
    parts += _file("registry/assets.toml", "One table an asset.", sections(Asset, "SYMBOL", "[SYMBOL]"))
    about = "One table a chain. What one that the catalogue knows does not state itself is taken from there (docs/adding_a_chain.md)."
    parts += _file("registry/chains.toml", about, sections(Chain, "CHAIN", "[CHAIN]"))
    parts.append(_columns("registry/wallets.csv", "One row a wallet.", WALLET_COLUMNS, attributes(Wallet)))
    about = "One row a descriptor or extended public key; the file may be missing. It is never published."
    parts.append(_columns("registry/descriptors.csv", about, DESCRIPTOR_COLUMNS, attributes(ListedDescriptor)))
    parts.append(_columns("Price files", "One row an asset and time.", tuple(_PRICES), _PRICES))
    lines = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())
    parts += [_CONNECTIONS, f"## Environment variables\n\n| variable | meaning |\n|---|---|\n{lines}\n"]
    return "\n".join(parts)


def _file(name: str, about: str, found: Iterator[Section]) -> Iterator[str]:
    yield f"## `{name}`\n\n{about}\n"
    for section in found:
        title = f"### `{section.header}`\n\n{section.about}\n\n" if section.header else ""
        rows = "\n".join(f"| `{key.name}` | {key.kind} | {_shown(key.default)} | {key.meaning} | `{key.example}` |" for key in section.keys)
        yield f"{title}| key | type | default | meaning | example |\n|---|---|---|---|---|\n{rows}\n"


def _shown(default: str) -> str:
    return "**required**" if not default else default if default == _CATALOGUE else f"`{default}`"


def _columns(title: str, about: str, columns: tuple[str, ...], meanings: Mapping[str, str]) -> str:
    if missing := [column for column in columns if column not in meanings]:
        raise _unsaid(f"{title}, column {missing[0]}")
    rows = "\n".join(f"| `{column}` | {meanings[column]} |" for column in columns)
    name = f"`{title}`" if "." in title else title
    return f"## {name}\n\n{about} Columns: `{','.join(columns)}`.\n\n| column | meaning |\n|---|---|\n{rows}\n"


def _key(kind: type, below: str, words: str, default: str, meaning: str | None) -> Key:
    name = below.rpartition(".")[2]
    if not meaning:
        raise _unsaid(f"{kind.__name__}.{name}")
    if not default and name in _OPTIONAL.get(kind.__name__, ()):
        default = _CATALOGUE
    example = _toml(_EXAMPLES[below]) if below in _EXAMPLES else default
    return Key(name, words, default, meaning.replace("|", "\\|"), f"{name} = {example}")


def _unsaid(subject: str) -> ConfigError:
    return ConfigError("its meaning is not said", subject=subject, next_step="say it in the docstring, under Attributes")


def _table(hint: Any, below: str) -> tuple[type, str, str] | None:
    """A field that is a table, or a list of tables, or tables by name."""
    if dataclasses.is_dataclass(hint):
        return hint if isinstance(hint, type) else type(hint), below, f"[{below}]"
    inner = [item for item in get_args(hint) if dataclasses.is_dataclass(item) and isinstance(item, type)]
    if not inner:
        return None
    if get_origin(hint) is tuple:
        return inner[0], below, f"[[{below}]]"
    return inner[0], f"{below}.SYMBOL", f"[{below}.SYMBOL]"


def _words(hint: Any, below: str) -> str:
    if isinstance(hint, types.GenericAlias) and get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if words := _LISTS.get(item.__name__ if isinstance(item, type) and not get_args(item) else str(item)):
            return words
    if words := _TYPES.get(hint):
        return words
    raise ConfigError(f"its type {hint} has no words", subject=below, next_step="add them in assay.starting.reference")


def _default(field: dataclasses.Field[Any]) -> str:
    return "" if field.default is dataclasses.MISSING else _toml(field.default)


def _toml(value: Any) -> str:
    """A value as TOML writes it; JSON writes these alike."""
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
