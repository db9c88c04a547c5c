"""From liabilities by account and asset to balances by user: one pass over the Parquet files in the order they have.

The rows are sorted by user key, account type and asset, so a user is finished when the next one begins: no table of users is held, and a user who is
there twice, a shard or a row that is there twice or rows out of order show as rows that do not ascend. What is read goes to a spool file that the next
stages read as often as they need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.commitments import amount_kernels as kernels
from assay.commitments.arrays import Bytes, Counts, Words
from assay.commitments.format import HASH_BYTES, Report
from assay.commitments.survey import Survey
from assay.errors import AmountError, AssayError, CommitmentError
from assay.money import format_amount

_COLUMNS = {
    "user_key": pa.string(),
    "account_type": pa.string(),
    "asset": pa.string(),
    "decimals": pa.int32(),
    "amount": pa.decimal128(38, 0),
}
_KEY_DIGITS = 2 * HASH_BYTES
_ROWS = 1 << 17
_NEXT_STEP = "make the liability snapshot again"


@dataclass(frozen=True, kw_only=True)
class Users:
    """Spool files of users, ascending by key.

    Attributes:
        folder: Where they are.
        assets: Number of assets.
        count: Number of users.
    """

    folder: Path
    assets: int
    count: int

    def keys(self, start: int, end: int) -> Bytes:
        """Return the keys of some users."""
        return np.fromfile(_keys(self.folder), np.uint8, (end - start) * HASH_BYTES, offset=start * HASH_BYTES).reshape(-1, HASH_BYTES)

    def balances(self, start: int, end: int) -> Words:
        """Return the balances of some users: high and low word of each asset."""
        words = self.assets * 2
        found = np.fromfile(_balances(self.folder), np.uint64, (end - start) * words, offset=start * words * 8)
        return found.reshape(-1, self.assets, 2)


def _keys(folder: Path) -> Path:
    return folder / "user_keys"


def _balances(folder: Path) -> Path:
    return folder / "balances"


def read_users(report: Report, liabilities: Sequence[Path], folder: Path) -> tuple[Users, Survey]:
    """Write the spool files of users.

    Args:
        report: Names the assets.
        liabilities: user_key, account_type, asset, decimals, amount; sorted by the first three within each and from each to the next.
        folder: Receives them; private.

    Returns:
        The users, and what is known of their balances as a whole.

    Raises:
        CommitmentError: There is no user, a file has other columns, a row is null or out of order, or its asset is not one of the report's.
        AmountError: A user's balance or a total has more than 38 digits.
    """
    survey = Survey.empty(report)
    assets = len(report.assets)
    keys, balances = np.zeros((1, HASH_BYTES), np.uint8), np.zeros((1, assets, 2), np.uint64)
    count = 0
    before: _Place | None = None
    with _keys(folder).open("wb") as key_file, _balances(folder).open("wb") as balance_file:

        def finish(users: int) -> None:
            survey.add(balances[:users])
            key_file.write(keys[:users].data)
            balance_file.write(balances[:users].data)

        for path, batch in _ahead(_batches(liabilities)):
            # The last user may go on in this batch: it is the first of the next round.
            kept = min(count, 1)
            finish(count - kept)
            last = keys[count - kept : count].copy(), balances[count - kept : count].copy()
            if len(keys) < batch.num_rows + 1:
                keys, balances = np.empty((batch.num_rows + 1, HASH_BYTES), np.uint8), np.empty((batch.num_rows + 1, assets, 2), np.uint64)
            keys[:kept], balances[:kept] = last
            balances[kept : batch.num_rows + 1] = 0
            count = _add(report, path, batch, keys, balances, kept)
            before = _check_order(path, batch, before)
        finish(count)
    if survey.users == 0:
        raise CommitmentError(
            "there is no user in them", subject=f"liabilities of {report.series}", next_step="check that the ledger has closed that moment"
        )
    return Users(folder=folder, assets=assets, count=survey.users), survey


def check_totals(report: Report, survey: Survey, totals: Mapping[str, int]) -> None:
    """Hold what was read against what it should add up to.

    Args:
        report: Names the assets.
        survey: Of what was read.
        totals: Sum of positive balances of each asset; an asset that is not named has none.

    Raises:
        CommitmentError: A total differs: a shard is missing, or the files are of another snapshot.
    """
    unknown = sorted(set(totals) - set(report.symbols))
    if unknown:
        raise CommitmentError(f"{', '.join(unknown)} is no asset of the report", subject="totals of the liabilities", next_step=_NEXT_STEP)
    for (symbol, decimals), words in zip(report.assets, survey.totals.tolist(), strict=True):
        found, expected = words[0] << 64 | words[1], totals.get(symbol, 0)
        if found != expected:
            raise CommitmentError(
                f"the rows add up to {format_amount(found, decimals)} and should to {format_amount(expected, decimals)}: "
                f"{format_amount(found - expected, decimals, sign=True)}",
                subject=f"liabilities, {symbol}",
                next_step="check that every shard is there once, and make the liability snapshot again",
            )


def _batches(liabilities: Sequence[Path]) -> Iterator[tuple[Path, pa.RecordBatch]]:
    for path in liabilities:
        try:
            file = pq.ParquetFile(path, read_dictionary=["account_type", "asset"])
            _check_columns(path, file.schema_arrow)
            for batch in file.iter_batches(batch_size=_ROWS, columns=list(_COLUMNS)):
                if batch.num_rows:
                    yield path, batch
        except (OSError, pa.ArrowException) as error:
            raise CommitmentError(f"the file cannot be read: {error}", subject=str(path), next_step=_NEXT_STEP) from error


def _ahead(batches: Iterator[tuple[Path, pa.RecordBatch]]) -> Iterator[tuple[Path, pa.RecordBatch]]:
    """Read one batch ahead, while the one before it is worked on."""
    with ThreadPoolExecutor(1) as executor:
        following = executor.submit(next, batches, None)
        while found := following.result():
            following = executor.submit(next, batches, None)
            yield found


def _check_columns(path: Path, schema: pa.Schema) -> None:
    for name, kind in _COLUMNS.items():
        position = schema.get_field_index(name)
        found = None if position < 0 else schema.field(position).type
        found = found.value_type if isinstance(found, pa.DictionaryType) else found
        if found != kind:
            problem = f"it has no column {name}" if found is None else f"column {name} is {found} and must be {kind}"
            raise CommitmentError(problem, subject=str(path), next_step=_NEXT_STEP)


def _add(report: Report, path: Path, batch: pa.RecordBatch, keys: Bytes, balances: Words, count: int) -> int:
    columns = {name: batch.column(name) for name in _COLUMNS}
    for name, column in columns.items():
        if column.null_count:
            raise _refused("it is null", path, batch, pc.index(pc.is_null(column), value=True).as_py(), name)
    lengths = pc.binary_length(columns["user_key"])
    wrong = pc.index(pc.not_equal(lengths, _KEY_DIGITS), value=True).as_py()
    if wrong >= 0:
        raise _refused("it is not 64 lower-case hexadecimal digits", path, batch, wrong, "user_key")
    numbers = {symbol: number for number, symbol in enumerate(report.symbols)}
    known = np.array([numbers.get(symbol, -1) for symbol in columns["asset"].dictionary.to_pylist()], np.int64)
    count, problem, row = kernels.add_rows(
        _text(columns["user_key"]),
        known[columns["asset"].indices.to_numpy()],
        columns["decimals"].to_numpy().astype(np.int64),
        _amounts(columns["amount"]),
        _decimals(report),
        keys,
        balances,
        count,
    )
    if problem != kernels.FINE:
        raise _row_error(problem, path, batch, row)
    return count


_Place = tuple[str, str, str]
"""User key, account type and asset of a row."""


def _check_order(path: Path, batch: pa.RecordBatch, before: _Place | None) -> _Place:
    """Hold each row against the one before it: a user has one row for each account type and asset, ascending. Returns the last row's place.

    Keys were seen to ascend; what is left are rows of one user.
    """
    keys = _text(batch.column("user_key")).view(f"S{_KEY_DIGITS}")
    places = _ranks(batch.column("account_type")) * len(batch.column("asset").dictionary) + _ranks(batch.column("asset"))
    # Mostly another user begins there; comparing all keys would take four times as long.
    wrong = np.flatnonzero(places[1:] <= places[:-1])
    wrong = wrong[keys[wrong + 1] == keys[wrong]]
    if before is not None and before[0] == (first := _place(batch, 0))[0] and first <= before:
        raise _doubled(path, batch, 0)
    if len(wrong):
        raise _doubled(path, batch, int(wrong[0]) + 1)
    return _place(batch, batch.num_rows - 1)


def _ranks(column: pa.DictionaryArray) -> Counts:
    """The places that texts have in their order."""
    texts = column.dictionary.to_pylist()
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    found: Counts = np.array([ranks[text] for text in texts], np.int64)[column.indices.to_numpy()]
    return found


def _place(batch: pa.RecordBatch, row: int) -> _Place:
    user, account, asset = (batch.column(name)[row].as_py() for name in ("user_key", "account_type", "asset"))
    return user, account, asset


def _doubled(path: Path, batch: pa.RecordBatch, row: int) -> CommitmentError:
    problem = "the user has it twice for this account type and asset, or the rows are not sorted by user_key, account_type, asset"
    return _refused(problem, path, batch, row, "row")


def _decimals(report: Report) -> Counts:
    return np.array([decimals for _, decimals in report.assets], np.int64)


def _text(column: pa.StringArray) -> Bytes:
    """The characters of texts of equal length, without copying them."""
    start = int(np.frombuffer(column.buffers()[1], np.int32, 1, offset=column.offset * 4)[0])
    return np.frombuffer(column.buffers()[2], np.uint8, len(column) * _KEY_DIGITS, offset=start)


def _amounts(column: pa.Decimal128Array) -> Words:
    return np.frombuffer(column.buffers()[1], np.uint64, 2 * len(column), offset=16 * column.offset).reshape(-1, 2)


def _row_error(problem: int, path: Path, batch: pa.RecordBatch, row: int) -> AssayError:
    if problem == kernels.TOO_LARGE:
        return AmountError(
            "the user's balance has more than 38 digits",
            subject=_subject(path, batch, row),
            next_step="check the asset's decimals and the source of the number",
        )
    text, column = {
        kernels.BAD_KEY: ("it is not 64 lower-case hexadecimal digits", "user_key"),
        kernels.BAD_ORDER: ("the user was there before, or the rows are not sorted by user_key; a shard may be there twice", "user_key"),
        kernels.BAD_ASSET: ("it is no asset of the report", "asset"),
        kernels.BAD_DECIMALS: ("they are not the asset's decimals", "decimals"),
    }[problem]
    return _refused(text, path, batch, row, column)


def _refused(problem: str, path: Path, batch: pa.RecordBatch, row: int, column: str) -> CommitmentError:
    return CommitmentError(f"{column}: {problem}", subject=_subject(path, batch, row), next_step=_NEXT_STEP)


def _subject(path: Path, batch: pa.RecordBatch, row: int) -> str:
    user, asset = (batch.column(name)[row].as_py() for name in ("user_key", "asset"))
    return f"{path.name}, user_key {user}, {asset}"
