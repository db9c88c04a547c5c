"""Holds the configuration's entries against each other: what one table cannot know alone.

Whether a chain's family, finality rule and kinds of sources exist stands in the families' modules, which are too heavy for
every parse of a DAG file; `registry.check_chains` looks there.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from assay.config import Settings
    from assay.config_chains import Chain, Token

APPROVALS = 2
"""People who sign off, from groups without a common member."""

MAX_DECIMALS = 24
"""Of an asset; beyond it a user's value in USD would leave exact 128-bit arithmetic."""

NOTICES = ("failure", "deadline", "shortfall", "published")
"""What can be told to somebody (`[notices] on`)."""

_NAME = r"[a-z0-9][a-z0-9_-]*"
_CONNECTION = r"[\w#!()\-.:/\\]{1,250}"
"""What Airflow takes as the id of a Connection (`sanitize_conn_id` and the width of its column)."""

_MEMORY = r"[0-9]+([.][0-9]+)? *[KMGT]i?B"
"""What DuckDB and the tree's builder both read as an amount of memory."""

_LEDGER_KINDS = ("postgres", "mysql", "files")
_FINER = ("refuse", "round_up")
_LAYOUTS = ("solidity", "vyper")
_WORD_BITS = 256
_MOST_READERS = 64
_MOST_SHARDS = 1000
_LEAST_PARTS = 2


def check(settings: Settings) -> None:
    """Refuse a configuration whose entries contradict each other.

    Raises:
        ConfigError: They do; it names the file.
    """
    _check_names(settings)
    _check_texts(settings)
    for asset in settings.assets.values():
        if not 0 <= asset.decimals <= MAX_DECIMALS:
            raise _fail(
                f"{asset.symbol} has {asset.decimals} decimals, and 0 to {MAX_DECIMALS} are possible", settings.registry / "assets.toml"
            )
    for chain in settings.chains.values():
        _check_chain(settings, chain)
    if settings.chunk_size < 1:
        raise _fail(f"chunk_size is {settings.chunk_size}, and at least 1 is needed", settings.path)
    _check_ledger(settings)
    _check_prices(settings)
    offsets = settings.stability.offsets_seconds
    if 0 in offsets or len(set(offsets)) < len(offsets):
        raise _fail("stability.offsets_seconds names 0, which is the snapshot itself, or one offset twice", settings.path)
    if settings.ownership.max_age_days < 0:
        raise _fail("ownership.max_age_days cannot be negative", settings.path)
    tree = settings.commitment
    if tree.parts < _LEAST_PARTS or tree.processes < 1 or tree.shard_leaves < 1 << 10 or tree.shard_leaves.bit_count() != 1:
        raise _fail(
            "commitment needs parts of at least 2, one process or more, and shard_leaves that are a power of two from 1024 on",
            settings.path,
        )
    _check_notices(settings)
    _check_sign_off(settings)


def _check_texts(settings: Settings) -> None:
    """Texts that people read in what is published, and those that other programs take to be names."""
    ledger = settings.ledger
    for key, texts in (
        ("entity", (settings.entity,)),
        ("ledger.account_types", ledger.account_types),
        ("ledger.schema", (ledger.schema,)),
        ("prices.sources, name", [source.name for source in settings.prices.sources]),
    ):
        for text in texts:
            if not text.isprintable() or text != text.strip() or not text:
                raise _fail(f"{key} is {text!r}, and a text of one line is needed, without spaces before and behind it", settings.path)
    for key, texts in (("notes", settings.notes), ("ledger.excluded", ledger.excluded)):
        if not all(text.strip() for text in texts):
            raise _fail(f"{key} has an empty text, and each is published as a statement", settings.path)
    for key, name in (("ledger.connection", ledger.connection), ("ledger.pseudonym_connection", ledger.pseudonym_connection)):
        _check_connection(key, name, settings.path)
    if not re.fullmatch(_MEMORY, settings.memory_limit, re.IGNORECASE):
        raise _fail(f"memory_limit is {settings.memory_limit!r}, and an amount of memory like 2GB or 512MB is needed", settings.path)


def _check_connection(key: str, name: str, path: Path) -> None:
    if "://" in name:
        # Its text may be a secret.
        raise _fail(f"{key} is an address, and the id of an Airflow Connection is needed: addresses and keys stand in Connections", path)
    if not re.fullmatch(_CONNECTION, name):
        raise _fail(f"{key} is {name!r}, and the id of an Airflow Connection is needed, such as assay_ledger", path)


def _check_sign_off(settings: Settings) -> None:
    groups = settings.sign_off.approvers
    if settings.sign_off.required and (len(groups) != APPROVALS or not all(groups) or set(groups[0]) & set(groups[1])):
        raise _fail("sign_off.approvers must be two groups of user names without a common member", settings.path)
    for name in (name for group in groups for name in group):
        if not name or name != name.strip():
            raise _fail(f"sign_off.approvers has {name!r}, which no user of Airflow is called", settings.path)


def _check_notices(settings: Settings) -> None:
    notices = settings.notices
    if unknown := sorted(set(notices.on) - set(NOTICES)):
        raise _fail(f"notices.on names {unknown[0]!r}{did_you_mean(unknown[0], NOTICES)}; known are {', '.join(NOTICES)}", settings.path)
    if bool(notices.smtp_connection) != bool(notices.mail_to):
        raise _fail("notices.smtp_connection and notices.mail_to belong together: one of them is missing", settings.path)
    if notices.deadline_hours < 0:
        raise _fail("notices.deadline_hours cannot be negative; 0 means no deadline", settings.path)
    if not notices.smtp_connection and not notices.webhook_connection and notices.deadline_hours:
        raise _fail("notices.deadline_hours is set, and neither a smtp_connection nor a webhook_connection tells of it", settings.path)


def _check_ledger(settings: Settings) -> None:
    ledger = settings.ledger
    if ledger.kind not in _LEDGER_KINDS:
        known = " or ".join(_LEDGER_KINDS)
        also = (
            " (did you mean 'files'?)"
            if ledger.kind.lower() in {"csv", "parquet", "file", "s3"}
            else did_you_mean(ledger.kind, _LEDGER_KINDS)
        )
        raise ConfigError(f"ledger.kind is {ledger.kind!r}{also}", subject=str(settings.path), next_step=f"set it to {known}")
    if ledger.finer_than_unit not in _FINER:
        raise ConfigError(
            f"ledger.finer_than_unit is {ledger.finer_than_unit!r}{did_you_mean(ledger.finer_than_unit, _FINER)}",
            subject=str(settings.path),
            next_step=f"set it to {' or '.join(_FINER)}",
        )
    if not ledger.account_types or len(set(ledger.account_types)) < len(ledger.account_types):
        raise _fail("ledger.account_types names no type, so that every row would be refused, or names one twice", settings.path)
    if ledger.kind == "files" and not ledger.folder.removeprefix("s3://").strip("/ "):
        raise _fail('ledger.folder is missing; drops stand in a folder, or in "s3://bucket/prefix"', settings.path)
    if ledger.kind == "files" and re.match(r"[a-z0-9]+://", ledger.folder, re.IGNORECASE) and not ledger.folder.startswith("s3://"):
        raise _fail(f"ledger.folder is {ledger.folder!r}; drops are read from a local folder or from s3://bucket/prefix", settings.path)
    if not 1 <= ledger.readers <= _MOST_READERS or not 0 <= ledger.shards <= _MOST_SHARDS:
        raise _fail(f"ledger.readers is 1 to {_MOST_READERS}, and ledger.shards 0 (by size) to {_MOST_SHARDS}", settings.path)


def _check_prices(settings: Settings) -> None:
    if settings.prices.currency != "USD":
        raise _fail(f"prices.currency is {settings.prices.currency!r} and only USD is known", settings.path)
    if not settings.prices.sources:
        raise _fail("prices.sources is empty", settings.path)
    for what, values in (
        ("name", [source.name for source in settings.prices.sources]),
        ("path", [str(source.path) for source in settings.prices.sources]),
    ):
        if repeated := [value for value, count in Counter(values).items() if count > 1]:
            raise _fail(f"two price sources have the {what} {repeated[0]!r}, and one cannot vouch for itself", settings.path)
    if settings.prices.max_age_seconds < 0 or settings.prices.tolerance_bps < 0:
        raise _fail("prices.max_age_seconds and prices.tolerance_bps cannot be negative", settings.path)


def _check_names(settings: Settings) -> None:
    """Names become folders, tasks and pools; what counts twice or vouches for itself is refused."""
    file = settings.registry / "chains.toml"
    chains = settings.chains.values()
    sources = [source for chain in chains for source in chain.sources]
    for name, where in ((settings.series, settings.path), *((name, file) for name in (*settings.chains, *(item.name for item in sources)))):
        if not re.fullmatch(_NAME, name):
            raise _fail(f"the name {name!r} is not made of lower-case letters, digits, - and _", where)
    # A fork has the genesis block of the chain that it left, and families number their networks without knowing of each other.
    for what, values in (
        ("source name", [(source.name,) for source in sources]),
        ("connection", [(source.connection,) for source in sources]),
        ("chain_id", [(str(chain.chain_id), chain.family) for chain in chains if chain.chain_id]),
        ("genesis", [(chain.genesis, chain.family, chain.network) for chain in chains if chain.genesis]),
    ):
        if repeated := sorted(value for value, count in Counter(values).items() if count > 1):
            raise _fail(f"the {what} {repeated[0][0]!r} is used twice", file)


def _check_chain(settings: Settings, chain: Chain) -> None:
    file = settings.registry / "chains.toml"
    if not chain.sources:
        raise _fail(f"chain {chain.name} names no source", file)
    for source in chain.sources:
        _check_connection(f"the connection of source {source.name}", source.connection, file)
        if min(source.batch_size, source.concurrency, source.parallel_tasks, source.timeout_seconds) < 1 or source.requests_per_second < 0:
            raise _fail(f"source {source.name} has a limit below 1", file)
    if min(chain.confirmations, chain.max_distance_seconds, chain.max_lag_seconds, chain.chunk_size) < 0:
        raise _fail(f"chain {chain.name} has a negative limit", file)
    for symbol in (chain.asset, *chain.tokens):
        if symbol not in settings.assets:
            raise _fail(f"chain {chain.name} names the unknown asset {symbol!r}{did_you_mean(symbol, settings.assets)}", file)
    # Only hexadecimal is the same in either case; BASE58 and BASE64 are not.
    contracts = {token.contract.lower() if chain.family == "evm" else token.contract for token in chain.tokens.values()}
    if chain.asset in chain.tokens or len(contracts) < len(chain.tokens):
        raise _fail(f"chain {chain.name} would count an asset twice: a token is the native asset, or two have one contract", file)
    for token in chain.tokens.values():
        _check_token(settings, chain, token, file)


def _check_token(settings: Settings, chain: Chain, token: Token, file: Path) -> None:
    known = settings.assets[token.asset].decimals
    if token.decimals > known:
        raise _fail(f"{token.asset} has {token.decimals} decimals on {chain.name}, more than the asset's {known}", file)
    if token.decimals < 0:
        raise _fail(f"{token.asset} has {token.decimals} decimals on {chain.name}", file)
    if token.slot_layout not in _LAYOUTS or not -1 <= token.balance_slot < 1 << _WORD_BITS or not 1 <= token.balance_bits <= _WORD_BITS:
        raise _fail(
            f"{token.asset} on {chain.name} has no possible balance slot: slot_layout is {' or '.join(_LAYOUTS)}, "
            f"balance_slot -1 or more, balance_bits 1 to {_WORD_BITS}",
            file,
        )


def _fail(problem: str, path: Path) -> ConfigError:
    return ConfigError(problem, subject=str(path), next_step="correct the file")
