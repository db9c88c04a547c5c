"""Counts a drop of files and writes its `control.json`, for ledgers that write none themselves.

A control file that was made from the drop shows that the files arrive as they were counted. It does not show that the ledger left nothing
out: only totals that the ledger makes at its own closing can do that.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from assay.config import Settings
from assay.errors import AmountError, LedgerError
from assay.lake import format_as_of, replacing_file, sha256_of
from assay.liabilities.disk import disk_errors
from assay.liabilities.drop import CONTROL, FILE_PATH, FORMAT
from assay.liabilities.files import DROPPED_FLOW_COLUMNS, write_as_text
from assay.liabilities.interface import BALANCE_COLUMNS, TOTAL_COLUMNS
from assay.money import MAX_DIGITS
from assay.warehouse.session import read_parquet, session

_FOLDER_FORMAT = "%Y-%m-%dT%H%M%SZ"

_PIECE = 18
_PIECES = 3
# The sum of texts, exactly, whatever the number of their decimals: what stands before the point is added up apart from what stands behind it, and
# that in pieces of 18 digits, which no number of rows brings beyond 128 bits.
_TOTALS = r"""
with read as (
    select user_id, account_type, asset, ltrim(amount, '-') as unsigned, if(amount[1] = '-', -1, 1)::hugeint as sign, from $balances
),
split as (
    select *, split_part(unsigned, '.', 1)::hugeint as whole, rtrim(split_part(unsigned, '.', 2), '0') as fraction, from read
)
select account_type, asset, count(*), count(distinct user_id), max(length(fraction)), sum(sign * whole), $pieces,
from split group by account_type, asset order by account_type, asset
"""
_SUM_OF_PIECE = "sum(sign * rpad(fraction[{start}:{end}], {length}, '0')::hugeint)"
_BROKEN = """
select user_id, account_type, asset, amount from $balances
where not coalesce(user_id <> '' and regexp_full_match(amount, '-?[0-9]+([.][0-9]*)?')
    and list_contains($types, account_type) and list_contains($assets, asset), false)
order by all nulls first limit 1
"""
_REPEATED = "select user_id, account_type, asset, count(*) from $balances group by all having count(*) > 1 order by all limit 1"


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What was counted.

    Attributes:
        path: The control file.
        content: Of it.
        written: Whether it was written; one that said the same stands as it stood.
    """

    path: Path
    content: dict[str, Any]
    written: bool


def write_control(settings: Settings, folder: Path, *, flows_from: datetime | None = None, replace: bool = False) -> Counted:
    """Count the files of a drop on a local disk and write its control file.

    Args:
        settings: Names the assets, the account types in scope and the memory limit.
        folder: The drop: `2023-02-17T160000Z`, named after its moment.
        flows_from: Where the files in `flows/` begin (exclusive): at or before the previous report's moment.
        replace: Write over a control file that says something else.

    Raises:
        LedgerError: The folder is no drop, a file has another name, columns or rows than the format allows, the flows' beginning is missing, or a
            control file that says something else stands there.
        AmountError: A sum has too many digits.
    """
    as_of = _moment(folder)
    paths = _files(folder)
    flows = [path for path in paths if path.startswith("flows/")]
    if bool(flows) != (flows_from is not None):
        problem = "it has flows, and where they begin is not said" if flows else "it has no flows to begin anywhere"
        step = "add --flows-from with the previous report's moment" if flows else "leave --flows-from out"
        raise LedgerError(problem, subject=f"drop {folder}", next_step=step)
    before = {path: _state(folder / path) for path in paths}
    settings.lake.mkdir(parents=True, exist_ok=True)
    # On the lake's disk, which has room for a ledger; nobody else may enter it.
    with tempfile.TemporaryDirectory(dir=settings.lake, prefix=".control-") as place:
        aside = Path(place)
        with disk_errors(aside), session(aside, memory_limit=settings.memory_limit) as connection:
            rows = {path: _as_text(connection, folder, path, aside / f"{number:05d}.parquet") for number, path in enumerate(paths)}
            balances = [aside / f"{number:05d}.parquet" for number, path in enumerate(paths) if not path.startswith("flows/")]
            totals = _totals(connection, settings, balances, folder)
    files = [{"path": path, "rows": rows[path], "sha256": sha256_of(folder / path)} for path in paths]
    if changed := [path for path in paths if _state(folder / path) != before[path]]:
        raise LedgerError("it was changed while it was counted", subject=f"drop {folder}, {changed[0]}", next_step="count it again")
    content = {
        "format": FORMAT,
        "as_of": format_as_of(as_of),
        "flows_from": None if flows_from is None else format_as_of(flows_from),
        "files": files,
        "totals": totals,
    }
    return _write(folder / CONTROL, content, replace=replace)


def _moment(folder: Path) -> datetime:
    name = folder.resolve().name
    try:
        moment = datetime.strptime(name, _FOLDER_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise LedgerError(
            f"its name {name!r} is not that of a moment", subject=f"drop {folder}", next_step="name it like 2023-02-17T160000Z"
        ) from None
    if not folder.is_dir():
        raise LedgerError("there is no such folder", subject=f"drop {folder}", next_step="name the folder that holds balances/")
    return moment


def _files(folder: Path) -> list[str]:
    """Every file that belongs to the drop, in order; what programs leave beside them is passed over, as it is when the drop is read."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    paths = [path for path in found if not path.rpartition("/")[2].startswith(("_", ".")) and path != CONTROL]
    if wrong := [path for path in paths if not FILE_PATH.fullmatch(path) or ".." in path]:
        raise LedgerError(
            "it stands neither in balances/ nor in flows/, or its name has other characters or another ending than the format allows",
            subject=f"drop {folder}, {wrong[0]}",
            next_step="move it, or name it like balances/00000.csv; docs/formats/ledger_sources.md has the rules",
        )
    if not any(path.startswith("balances/") for path in paths):
        raise LedgerError("it has no file in balances/", subject=f"drop {folder}", next_step="have the ledger write the balances there")
    return paths


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _as_text(connection: duckdb.DuckDBPyConnection, folder: Path, path: str, written: Path) -> int:
    columns = DROPPED_FLOW_COLUMNS if path.startswith("flows/") else BALANCE_COLUMNS
    write_as_text(connection, folder / path, columns, written, subject=f"drop {folder}, {path}")
    return int(pq.read_metadata(written).num_rows)


def _totals(connection: duckdb.DuckDBPyConnection, settings: Settings, balances: list[Path], folder: Path) -> list[dict[str, object]]:
    relation = read_parquet(balances)
    known = {"types": list(settings.ledger.account_types), "assets": sorted(settings.assets)}
    for user, account_type, asset, amount in connection.execute(_BROKEN.replace("$balances", relation), known).fetchall():
        raise LedgerError(
            f"{_broken(settings, user, account_type, asset, amount)}",
            subject=f"drop {folder}, user {user}, {account_type}, {asset}",
            next_step="correct the drop, or the assets and ledger.account_types of the configuration",
        )
    for user, account_type, asset, count in connection.execute(_REPEATED.replace("$balances", relation)).fetchall():
        raise LedgerError(
            f"there are {count} rows and there may be one",
            subject=f"drop {folder}, user {user}, {account_type}, {asset}",
            next_step="have the ledger add them up",
        )
    pieces = ", ".join(
        _SUM_OF_PIECE.format(start=_PIECE * number + 1, end=_PIECE * (number + 1), length=_PIECE) for number in range(_PIECES)
    )
    try:
        found = connection.execute(_TOTALS.replace("$balances", relation).replace("$pieces", pieces)).fetchall()
    except (duckdb.OutOfRangeException, duckdb.ConversionException):
        raise _too_long(folder) from None
    return [
        dict(zip(TOTAL_COLUMNS, (account_type, asset, rows, users, _total(settings, folder, asset, places, sums)), strict=True))
        for account_type, asset, rows, users, places, *sums in found
    ]


def _total(settings: Settings, folder: Path, asset: str, places: int, sums: list[int]) -> str:
    """Put a sum together from those of its pieces."""
    if places > _PIECE * _PIECES:
        raise AmountError(
            f"an amount has {places} decimals, and {_PIECE * _PIECES} are possible",
            subject=f"drop {folder}, {asset}",
            next_step="have the ledger write fewer decimals",
        )
    total = 0
    for part in sums:
        total = total * 10**_PIECE + part
    if abs(total) >= 10 ** (MAX_DIGITS - settings.assets[asset].decimals + _PIECE * _PIECES):
        raise _too_long(folder)
    return _plain(total // 10 ** (_PIECE * _PIECES - places), places)


def _too_long(folder: Path) -> AmountError:
    return AmountError(
        f"an amount or a sum of amounts has more than {MAX_DIGITS} digits", subject=f"drop {folder}", next_step="check the largest balances"
    )


def _broken(settings: Settings, user: str | None, account_type: str | None, asset: str | None, amount: str | None) -> str:
    if not user:
        return "user_id is empty"
    if account_type not in settings.ledger.account_types:
        return f"account type {account_type!r} is unknown; known are {', '.join(settings.ledger.account_types)}"
    if asset not in settings.assets:
        return f"asset {asset!r} is unknown; known are {', '.join(sorted(settings.assets))}"
    return f"amount {(amount or '')[:60]!r} is not a decimal number like -0.25"


def _plain(total: int, places: int) -> str:
    digits = str(abs(total)).rjust(places + 1, "0")
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if total < 0 else text


def _write(path: Path, content: dict[str, Any], *, replace: bool) -> Counted:
    if path.exists() and not replace:
        try:
            there = json.loads(path.read_bytes())
        except ValueError:
            there = None
        if there == content:
            return Counted(path=path, content=content, written=False)
        raise LedgerError(
            "it is there already and says something else than what was counted",
            subject=str(path),
            next_step="find out which is right; --replace writes over it",
        )
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")
    return Counted(path=path, content=content, written=True)
