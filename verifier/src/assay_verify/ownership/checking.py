"""Checking a piece of a list: what worker processes do. It imports no Parquet, which would take more memory than all the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from assay_verify.findings import MalformedError
from assay_verify.ownership import challenge, movement
from assay_verify.ownership.archived import NOTE, ArchivedContracts
from assay_verify.ownership.chain_state import ChainState
from assay_verify.ownership.challenge import Challenge
from assay_verify.ownership.interface import NotVerifiedError, Statement, UnsupportedError, Verified
from assay_verify.ownership.lists import EXACT, LONGEST_LINE, Entry, Layout, parse_line
from assay_verify.ownership.movement import Coin, Moved
from assay_verify.ownership.schemes import NO_STATE, test_network, verify_for
from assay_verify.ownership.tallies import Age, Failure, Outcome, Tally


class TableRow(NamedTuple):
    """A row of `address_ownership`, as far as its signatures go.

    Attributes:
        chain: Name of the chain.
        scheme: That it claims; None for none.
        status: That it claims.
        signed_at: Whether it says when.
        verified_at_block: Hash of the block at which a contract was asked; None where none was.
        statement: Its signatures are empty where none is given.
    """

    chain: str
    scheme: str | None
    status: str
    signed_at: bool
    verified_at_block: str | None
    statement: Statement


class Refusal(NamedTuple):
    """Why a movement is not shown.

    Attributes:
        outcome: It failed, or cannot be checked here.
        reason: In words.
    """

    outcome: Outcome
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The publication that the rows of a table are part of; None where a table is looked at alone.

    Attributes:
        names: Entity, series and moment.
        blocks: Snapshot blocks: height and hash by chain.
        networks: By chain: what `schemes.verify_for` knows it by.
        contracts: By chain: what its contracts answered, where some were asked.
        coins: By chain: what amounts of movements are counted in, where movements can be shown.
        moved: By chain, address and transaction: what the evidence shows, or why it doesn't.
    """

    names: tuple[str, str, str]
    blocks: dict[str, tuple[int, str]]
    networks: dict[str, str]
    contracts: dict[str, ArchivedContracts] = field(default_factory=dict)
    coins: dict[str, Coin] = field(default_factory=dict)
    moved: dict[tuple[str, str, str], Moved | Refusal] = field(default_factory=dict)


def check_lines(layout: Layout, first_line: int, content: bytes, *, test_networks: bool = False) -> Tally:
    """Check lines of a list.

    Args:
        layout: How they are written.
        first_line: Number of the first.
        content: Whole lines.
        test_networks: Take addresses of the Bitcoin family's test networks for what they are.
    """
    tally = Tally()
    for line, text in enumerate(_lines(content), start=first_line):
        if not isinstance(text, str):
            tally.fail(Failure(line, "", "", "", Outcome.MALFORMED, "it is longer than any row is" if text else "it is not UTF-8"))
            continue
        try:
            entry = parse_line(layout, text) if text else None
        except MalformedError as error:
            tally.fail(Failure(line, "", "", "", Outcome.MALFORMED, str(error)))
            continue
        if entry is None:
            tally.fail(Failure(line, "", "", "", Outcome.EMPTY, "the line is empty"))
        else:
            _check_entry(tally, line, entry, test_networks=test_networks)
    return tally


def check_rows(report: Report | None, first_row: int, rows: Sequence[TableRow]) -> Tally:
    """Check rows of the table `address_ownership`."""
    tally = Tally()
    for number, row in enumerate(rows, start=first_row):
        address = row.statement.address
        tally.meet(number, row.chain, row.chain, address)
        failed = partial(Failure, number, row.chain, row.chain, address)
        if problem := _shape_problem(row):
            tally.fail(failed(Outcome.MALFORMED, problem))
        elif row.status == Outcome.NONE or (row.status == Outcome.MOVEMENT and report is None):
            tally.succeed(row.chain, Outcome(row.status))
        elif row.status == Outcome.MOVEMENT and report:
            _check_movement(tally, failed, report, row)
        elif problem := _block_problem(report, row) or _text_problem(report, row):
            tally.fail(failed(Outcome.FAILED, problem))
        else:
            network = report.networks.get(row.chain, row.chain) if report else row.chain
            entry = Entry(row.chain, network, None, row.statement)
            _verify(tally, number, entry, Age(row.status), row.scheme, _state_of(report, row))
    return tally


def _check_movement(tally: Tally, failed: Callable[[Outcome, str], Failure], report: Report, row: TableRow) -> None:
    statement = row.statement
    coin = report.coins.get(row.chain)
    if coin is None:
        tally.fail(failed(Outcome.UNSUPPORTED, "movements on this chain cannot be shown by evidence"))
        return
    moved = report.moved.get((row.chain, statement.address, statement.signatures[0]), Refusal(Outcome.FAILED, "nothing is known of it"))
    try:
        asked = movement.parse(coin, statement.message)
        problem = _challenge_names(asked, row.chain, statement.address, report)
        if not problem and isinstance(moved, Moved):
            movement.require_movement(coin, asked, moved, report.blocks[row.chain][0])
    except (MalformedError, NotVerifiedError) as error:
        problem = str(error)
    shown = Refusal(Outcome.FAILED, problem) if problem else moved
    if isinstance(shown, Refusal):
        tally.fail(failed(*shown))
        return
    tally.succeed(row.chain, Outcome.VERIFIED)
    tally.schemes[movement.SCHEME][Age.FRESH] += 1
    tally.reports[asked.report] += 1
    if shown.note:
        tally.notes[shown.note] += 1


def _check_entry(tally: Tally, line: int, entry: Entry, *, test_networks: bool) -> None:
    coin, network, amount, statement = entry
    if amount is not None:
        tally.amounts[coin, network] = EXACT.add(tally.amounts[coin, network], amount)
    tally.meet(line, coin, network, statement.address)
    if not statement.signatures or not statement.message:
        tally.fail(Failure(line, coin, network, statement.address, Outcome.EMPTY, "it has no message, or no signature"))
        return
    age = Age.STATIC
    if challenge.is_challenge(statement.message):
        age = Age.FRESH
        if problem := _challenge_problem(statement.message, network, statement.address):
            tally.fail(Failure(line, coin, network, statement.address, Outcome.FAILED, problem))
            return
    test = test_network(coin, network, statement.address) if test_networks else ""
    if not test:
        _verify(tally, line, entry, age)
    elif _verify(tally, line, Entry(coin, test, amount, statement), age):
        tally.notes[f"the addresses are of {test}, a test network whose coins are worth nothing"] += 1


def _block_problem(report: Report | None, row: TableRow) -> str:
    """Say what is wrong with the block at which a row says that a contract was asked."""
    if not row.verified_at_block or report is None:
        return ""
    known = report.blocks.get(row.chain, (0, ""))[1]
    return "" if row.verified_at_block == known else f"it was asked at {row.verified_at_block[:80]}, which is not the snapshot block"


def _state_of(report: Report | None, row: TableRow) -> ChainState:
    """Return what of the chain a row's scheme may ask: the archived answers, where a contract was asked."""
    archived = report.contracts.get(row.chain) if report and row.verified_at_block else None
    return ChainState(contracts=archived.contracts()) if archived else NO_STATE


def _verify(tally: Tally, line: int, entry: Entry, age: Age, scheme: str | None = None, state: ChainState = NO_STATE) -> bool:
    """Check a statement and count it; True where it verified."""
    coin, network, _, statement = entry
    try:
        verified = _verified(statement, network, scheme, state)
    except NotVerifiedError as error:
        tally.fail(Failure(line, coin, network, statement.address, Outcome.FAILED, str(error)))
        return False
    except UnsupportedError as error:
        tally.fail(Failure(line, coin, network, statement.address, Outcome.UNSUPPORTED, str(error)))
        return False
    tally.succeed(coin, Outcome.VERIFIED)
    tally.schemes[verified.scheme][age] += 1
    note = NOTE if state.contracts else verified.note
    if note:
        tally.notes[note] += 1
    if challenge.is_challenge(statement.message):
        tally.reports[challenge.parse(statement.message).report] += 1
    return True


def _verified(statement: Statement, network: str, scheme: str | None, state: ChainState) -> Verified:
    try:
        verified = verify_for(statement, network, state)
    except (NotVerifiedError, UnsupportedError):
        raise
    except Exception as error:
        # One row, of a stranger's making, must not keep the others from being checked.
        raise NotVerifiedError(f"it cannot be read ({type(error).__name__}: {str(error)[:200]})") from error
    if scheme not in (None, verified.scheme):
        raise NotVerifiedError(f"it verifies as {verified.scheme}, and the table names {scheme}")
    return verified


def _lines(content: bytes) -> list[str | bool]:
    """Return lines as text; False for one that is not UTF-8, True for one that is too long."""
    lines = content.removesuffix(b"\n").split(b"\n")
    return [_decoded(line) for line in lines]


def _decoded(line: bytes) -> str | bool:
    if len(line) > LONGEST_LINE:
        return True
    try:
        return line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return False


def _shape_problem(row: TableRow) -> str:
    statement = row.statement
    signed = bool(statement.message or statement.signatures or statement.script or statement.owners)
    if row.status == Outcome.NONE:
        return "it claims no proof, and has a part of one" if signed or row.scheme or row.signed_at or row.verified_at_block else ""
    if row.status not in {*Age, Outcome.MOVEMENT}:
        return f"its status {row.status[:40]!r} is none that is published"
    if not statement.message or not row.scheme:
        return f"it is called {row.status}, and has no text or no scheme"
    if (row.status == Outcome.MOVEMENT) != (row.scheme == movement.SCHEME):
        return f"it is called {row.status}, and its scheme {row.scheme}"
    if not statement.signatures:
        return f"it is called {row.status}, and nothing is signed"
    return _surplus(row)


def _surplus(row: TableRow) -> str:
    """Say what a row lacks or has too much for its status, beyond a text and a signature."""
    statement = row.statement
    if row.status == Outcome.MOVEMENT and (len(statement.signatures) > 1 or statement.script or statement.owners or row.verified_at_block):
        return "it is called movement, and has more than a text and a transaction"
    return "it is called fresh, and no time is given" if row.status == Age.FRESH and not row.signed_at else ""


def _text_problem(report: Report | None, row: TableRow) -> str:
    """Say what is wrong with the text that a row of a table is about."""
    fresh = row.status == Age.FRESH
    if not fresh and not challenge.is_challenge(row.statement.message):
        return ""
    return _challenge_problem(row.statement.message, row.chain, row.statement.address, report if fresh else None)


def _challenge_problem(text: str, chain: str, address: str, report: Report | None = None) -> str:
    try:
        asked = challenge.parse(text)
    except MalformedError as error:
        return str(error)
    return _challenge_names(asked, chain, address, report)


def _challenge_names(asked: Challenge, chain: str, address: str, report: Report | None) -> str:
    if (asked.chain, asked.address) != (chain, address):
        return f"the text is signed for {asked.address[:100]} on {asked.chain[:40]}"
    return _report_problem(asked, report) if report else ""


def _report_problem(asked: Challenge, report: Report) -> str:
    if asked.report != report.names:
        return f"the text is signed for the report {', '.join(asked.report)[:200]}"
    if asked.chain not in report.blocks:
        return "its chain has no snapshot block"
    height, hash_ = report.blocks[asked.chain]
    if asked.block_height == height and asked.block_hash != hash_:
        return f"the text names another block {height} than the snapshot block"
    return ""
