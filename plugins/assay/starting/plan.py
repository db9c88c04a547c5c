"""What a new deployment is to be, each answer held to the rules as soon as it is given.

Every function here takes the text of one flag, or of one answer at the terminal, and returns what it means or says what is wrong with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from assay.chains.families import family_of
from assay.config_chains import Asset, Chain
from assay.errors import ConfigError, did_you_mean
from assay.registry import check_schedule
from assay.starting.addresses import ledger_connection, source_connection, storage_connection

LEDGERS = ("postgres", "mysql", "files")
OPERATOR = "operator"
"""Airflow's user who starts runs."""

_SOURCES = 26  # named by a letter each
_APPROVERS = 2
_LEAST_PORT, _MOST_PORT = 1024, 64_000  # the log servers take ports above it
_LONGEST = 200
_NAME = r"[a-z0-9][a-z0-9_-]*"
_PERSON = r"[A-Za-z0-9][A-Za-z0-9._@-]*"
_SPEC = re.compile(r"(?P<chain>[^=]*)=(?:(?P<kind>[a-z_]+):(?!//))?(?P<address>.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class PlannedSource:
    """A node: its name in the registry, the kind of source, and its Connection as JSON (a secret)."""

    name: str
    kind: str
    connection: str


@dataclass(frozen=True, kw_only=True)
class PlannedChain:
    """A chain of the catalogue and the nodes asked for it.

    Attributes:
        facts: What the catalogue says of it.
        chain_id: Of a private network in its place; 0 for the chain itself.
        sources: At least one.
    """

    facts: Chain
    chain_id: int = 0
    sources: tuple[PlannedSource, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Assets that can be read there: the native one, and tokens. A private network has none of the catalogue's contracts."""
        return (self.facts.asset, *(() if self.chain_id else self.facts.tokens))


@dataclass(frozen=True, kw_only=True)
class PlannedLedger:
    """The ledger.

    Attributes:
        kind: `postgres`, `mysql` or `files`.
        folder: Of `files`, as `[ledger] folder` takes it.
        schema: Of a database: what holds the views.
        connection: As JSON; empty for files on a local disk.
    """

    kind: str
    folder: str = ""
    schema: str = "public"
    connection: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole deployment.

    Attributes:
        entity: The reporting entity.
        series: Name of its publications.
        schedule: Cron expression in UTC.
        chains: At least one.
        assets: Decimals by symbol.
        known: What the catalogue says of the assets.
        ledger: Where liabilities come from.
        approvers: Two people, or none where nobody signs off.
        port: Of Airflow's API server on this machine.
    """

    entity: str
    series: str
    schedule: str
    chains: tuple[PlannedChain, ...]
    assets: Mapping[str, int]
    known: Mapping[str, Asset]
    ledger: PlannedLedger
    approvers: tuple[str, ...]
    port: int


def entity(text: str) -> str:
    """Return the entity's name.

    Raises:
        ConfigError: It is empty, too long, or has characters that cannot be printed.
    """
    name = text.strip()
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise ConfigError(
            f"{name[:40]!r} is no name of 1 to {_LONGEST} printable characters", subject="--entity", next_step="name the reporting entity"
        )
    return name


def series_of(name: str) -> str:
    """Return a series named after an entity: lower-case letters, digits and hyphens; empty where the name has none of them."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def series(text: str) -> str:
    """Return the name of the line of publications.

    Raises:
        ConfigError: It cannot be the name of a folder.
    """
    if not re.fullmatch(_NAME, text) or len(text) > _LONGEST:
        raise ConfigError(
            f"{text[:40]!r} is not made of lower-case letters, digits, - and _, beginning with a letter or digit",
            subject="--series",
            next_step="name it like example-custodian",
        )
    return text


def schedule(text: str) -> str:
    """Return a cron expression that comes true.

    Raises:
        ConfigError: It is malformed, or no day is one of it.
    """
    check_schedule(text, subject="--schedule")
    return " ".join(text.split())


def chain_sources(texts: Sequence[str], known: Mapping[str, Chain], ids: Sequence[str] = ()) -> tuple[PlannedChain, ...]:
    """Return the chains and their sources.

    Args:
        texts: `ethereum=jsonrpc:http://127.0.0.1:8545`, one a source; the kind may be left out where the chain has one kind, or the scheme tells it.
        known: The catalogue.
        ids: `ethereum=31337`: a private network in the chain's place.

    Raises:
        ConfigError: A chain or kind is unknown, an address malformed, or an id not a number or of a chain without one.
    """
    if not texts:
        raise ConfigError("no chain is named", subject="--chain", next_step="name one like ethereum=jsonrpc:http://127.0.0.1:8545")
    sources: dict[str, list[PlannedSource]] = {}
    addresses: set[str] = set()
    for text in texts:
        name, kind, address = _parts(text, known)
        there = sources.setdefault(name, [])
        if len(there) == _SOURCES or address in addresses:
            problem = "one address is named twice" if address in addresses else f"more than {_SOURCES} sources are named"
            raise ConfigError(problem, subject=f"--chain {name}", next_step="two independent servers make a quorum")
        addresses.add(address)
        connection = source_connection(address, kind, f"--chain {name}")
        there.append(PlannedSource(name=f"{name}_{chr(ord('a') + len(there))}", kind=kind, connection=connection))
    private = chain_ids(ids, sources, known)
    return tuple(PlannedChain(facts=known[name], chain_id=private.get(name, 0), sources=tuple(found)) for name, found in sources.items())


def _parts(text: str, known: Mapping[str, Chain]) -> tuple[str, str, str]:
    found = _SPEC.fullmatch(text)
    if not found:
        name = text.partition(":")[0][:40]
        raise ConfigError(
            f"{name!r} has no `=` with an address behind it",
            subject="--chain",
            next_step="write it like ethereum=jsonrpc:http://127.0.0.1:8545",
        )
    name, kind, address = found["chain"].strip(), found["kind"], found["address"].strip()
    known_chain(name, known)
    kinds = family_of(known[name]).FACTS.kinds
    if kind is None and len(kinds) > 1:
        kind = "electrum" if address.startswith(("ssl://", "tcp://")) and "electrum" in kinds else None
    kind = kind or (kinds[0] if len(kinds) == 1 else "")
    if kind not in kinds:
        problem = f"it has no sources of kind {kind!r}" if kind else "the kind of its source is not said"
        raise ConfigError(problem, subject=f"--chain {name}", next_step=f"write {' or '.join(f'{name}={item}:ADDRESS' for item in kinds)}")
    return name, kind, address


def known_chain(name: str, known: Mapping[str, Chain]) -> Chain:
    """Return a chain of the catalogue.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in known:
        raise ConfigError(
            f"the chain {name[:40]!r} is unknown{did_you_mean(name, known)}",
            subject="--chain",
            next_step=f"choose one of {', '.join(known)}",
        )
    return known[name]


def chain_ids(texts: Sequence[str], used: Collection[str], known: Mapping[str, Chain]) -> dict[str, int]:
    """Return the chain ids of private networks, `ethereum=31337`, by chain; a chain's own id is none.

    Raises:
        ConfigError: One is no number, or of a chain that is not used or has no id.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in used or known[name].family != "evm":
            raise ConfigError(
                f"{name[:40]!r} is no EVM chain that a --chain names", subject="--chain-id", next_step="write it like ethereum=31337"
            )
        if not re.fullmatch(r"[1-9][0-9]{0,17}", number):
            raise ConfigError(f"{number[:40]!r} is no chain id", subject=f"--chain-id {name}", next_step="write it like ethereum=31337")
        if int(number) != known[name].chain_id:
            found[name] = int(number)
    return found


def asset_decimals(symbols: Sequence[str], chains: Sequence[PlannedChain], known: Mapping[str, Asset]) -> dict[str, int]:
    """Return the assets with as many decimals as the finest of the chains in use counts.

    Args:
        symbols: None for the native assets of the chains.
        chains: The chains in use.
        known: The catalogue.

    Raises:
        ConfigError: An asset is unknown, or no chain in use has it, or the native asset of one is left out.
    """
    wanted = list(dict.fromkeys(symbols or [chain.facts.asset for chain in chains]))
    readable = dict.fromkeys(symbol for chain in chains for symbol in chain.symbols)
    for symbol in wanted:
        if symbol not in known:
            raise ConfigError(
                f"the asset {symbol[:40]!r} is unknown{did_you_mean(symbol, known)}",
                subject="--asset",
                next_step=f"choose one of {', '.join(readable)}",
            )
        if symbol not in readable:
            raise ConfigError(
                f"none of the named chains holds {symbol}",
                subject="--asset",
                next_step=f"name another chain, or one of {', '.join(readable)}",
            )
    if missing := [chain for chain in chains if chain.facts.asset not in wanted]:
        raise ConfigError(
            f"{missing[0].facts.asset}, the native asset of {missing[0].facts.name}, is not among them",
            subject="--asset",
            next_step=f"add --asset {missing[0].facts.asset}",
        )
    return {symbol: _decimals(symbol, chains, known) for symbol in wanted}


def _decimals(symbol: str, chains: Sequence[PlannedChain], known: Mapping[str, Asset]) -> int:
    """Of a native asset, the catalogue's; of a token, those of its finest contract in use."""
    if any(chain.facts.asset == symbol for chain in chains):
        return known[symbol].decimals
    return max(chain.facts.tokens[symbol].decimals for chain in chains if symbol in chain.symbols)


def ledger(kind: str, place: str, *, schema: str = "", storage: str = "") -> PlannedLedger:
    """Return the ledger.

    Args:
        kind: `postgres`, `mysql` or `files`.
        place: The database's address; of files, a folder, or `s3://bucket/prefix`.
        schema: That holds the views: by default `public`, or the database that a MySQL address names.
        storage: Of files in S3: the storage's address with its keys.

    Raises:
        ConfigError: The kind is unknown, or the place malformed.
    """
    if kind not in LEDGERS:
        raise ConfigError(f"the kind {kind[:40]!r} is unknown", subject="--ledger", next_step=f"choose one of {', '.join(LEDGERS)}")
    subject = f"--ledger-at ({kind})"
    if kind == "files":
        return _files_ledger(place or "ledger", storage)
    if storage:
        raise ConfigError("it is for drops in S3 alone", subject="--ledger-storage", next_step="leave it out")
    if kind == "mysql":
        database = schema or place.rpartition("/")[2] if place.count("/") > 2 else schema  # noqa: PLR2004 - two of them are the scheme's
        if not database:
            raise ConfigError(
                "no database with the views is named",
                subject=subject,
                next_step="name it in --ledger-schema, or in mysql://login:password@host:3306/database",
            )
        address = place if schema else place.removesuffix(f"/{database}")
        return PlannedLedger(kind=kind, schema=_schema(database), connection=ledger_connection(address, kind, subject))
    return PlannedLedger(kind=kind, schema=_schema(schema or "public"), connection=ledger_connection(place, kind, subject))


def _files_ledger(place: str, storage: str) -> PlannedLedger:
    if not place.isprintable() or not place.strip():
        raise ConfigError("it is no folder", subject="--ledger-at (files)", next_step="name a folder, or s3://bucket/prefix")
    if not place.startswith("s3://"):
        if storage or "://" in place:
            raise ConfigError(
                "it is neither a folder nor s3://bucket/prefix",
                subject="--ledger-at (files)",
                next_step="name one; --ledger-storage is for S3",
            )
        return PlannedLedger(kind="files", folder=place)
    if not storage:
        raise ConfigError(
            "the address of the storage is missing",
            subject="--ledger-storage",
            next_step="write it like https://ACCESS_KEY:SECRET_KEY@s3.example.com",
        )
    return PlannedLedger(kind="files", folder=place, connection=storage_connection(storage, "--ledger-storage"))


def _schema(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}", name):
        raise ConfigError(f"{name[:40]!r} is no name of a schema", subject="--ledger-schema", next_step="name what holds the three views")
    return name


def approvers(text: str) -> tuple[str, ...]:
    """Return the two people who sign off, as user names of Airflow: `finance,risk`.

    Raises:
        ConfigError: They are not two, or one is no user name.
    """
    names = [name.strip() for name in text.split(",")]
    if len(names) != _APPROVERS or len(set(names)) != _APPROVERS:
        raise ConfigError(
            f"{text[:60]!r} does not name two different people",
            subject="--sign-off",
            next_step="write two user names like finance,risk, or give --no-sign-off",
        )
    for name in names:
        if not re.fullmatch(_PERSON, name) or name == OPERATOR:
            why = "is the user who starts the runs" if name == OPERATOR else "is no user name of letters, digits, `.`, `_`, `@` and `-`"
            raise ConfigError(f"{name[:40]!r} {why}", subject="--sign-off", next_step="name somebody else")
    return tuple(names)


def port(text: str) -> int:
    """Return a port that a user may open.

    Raises:
        ConfigError: It is none.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or not _LEAST_PORT <= int(text) <= _MOST_PORT:
        raise ConfigError(
            f"{text[:20]!r} is no port from {_LEAST_PORT} to {_MOST_PORT}", subject="--port", next_step="name a free one, such as 8080"
        )
    return int(text)
