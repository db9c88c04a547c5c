"""The published sum tree of another exchange, and one account's part in it.

The file has a line `block_height:N`, then `hash,value` from the root down, left to right, as many leaves as a power of two. Amounts are satoshis,
written as 8 bytes, little-endian. An account finds its leaves with a secret: of the account (then the account's number and the height are hashed
with it), or of this report alone. Format: the README and programs at https://github.com/BitMEX/proof-of-reserves-liabilities.
The row that is the parent of rows 2j + 1 and 2j + 2 is row j, so that the file is read at two places, and memory doesn't depend on its length.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from assay_verify.arithmetic import whole_units
from assay_verify.findings import Check, Exit, MalformedError, UnusableInputError
from assay_verify.progress import Progress
from assay_verify.sum_tree.first_generation import compare_root
from assay_verify.sum_tree.verified import Holding, VerifiedProof

FORMAT = "published sum tree of the BitMEX form (block_height, then hash and value row by row)"
FIRST_BYTES = b"block_height:"

_ROW = re.compile(rb"([0-9a-f]{64}),(0|[1-9][0-9]{0,19})\r?\n?")
_HEAD = re.compile(rb"block_height:([0-9]{1,18})\r?\n")
_NONCE = re.compile("[0-9a-f]{64}")
_LONGEST_LINE = 128
_LIMIT = 1 << 64
_SATOSHI_DECIMALS = 8


@dataclass
class _Tree:
    height: int
    rows: int = 0
    root: tuple[bytes, int] = (b"", 0)
    matches: dict[int, list[int]] = field(default_factory=dict)


def account_nonce(nonce: bytes, height: int, account: int) -> bytes:
    """Return the secret of one report, derived from an account's own."""
    return hashlib.sha256(nonce + struct.pack("<QQ", height, account)).digest()


def check(
    tree: Path, account: str | None, nonce: str | None, *, is_report_nonce: bool, published_root: str | None, progress: Progress
) -> VerifiedProof:
    """Check a tree by its own rules, and find an account's leaves in it; say what these rules let through.

    Args:
        tree: The published file.
        account: The account's number; not needed with the nonce of the report.
        nonce: The account's secret, or that of the report, as 64 digits.
        is_report_nonce: Which of both.
        published_root: The root's hash as it was published; None if there is none to compare with.
        progress: Told how far it is.

    Raises:
        UnusableInputError: Account or nonce are none.
    """
    verified = VerifiedProof(FORMAT)
    known: _Tree | None = None
    with verified.findings.check("tree", "Every node of the tree follows from both its children.") as made:
        try:
            with tree.open("rb") as file:
                height = _height(file.readline(_LONGEST_LINE))
            secret = _secret(account, nonce, height, is_report_nonce=is_report_nonce)
            known = _Tree(height)
            _check_nodes(made, tree, known, secret, progress)
        except OSError as error:
            raise UnusableInputError(f"{tree} cannot be read ({error.strerror})", "Give the published file of liabilities") from error
    progress.clear()
    if known is None or verified.findings.checks[0].failures:
        return verified
    own = known.matches.get(known.rows.bit_length() - 1, [])
    with verified.findings.check("leaves", "Leaves of the tree are made with the account's secret.") as made:
        if secret is None:
            made.skip("your leaves could not be looked for: give the secret that the exchange shows you with --nonce", accepted=False)
        else:
            made.expect(bool(own), "no leaf is made with this secret: another account, another report, or you are not in the total")
    compare_root(verified, known.root[0].hex(), published_root)
    verified.report, verified.commitment = [f"block height {height}"], known.root[0].hex()
    verified.leaves, verified.parts = (known.rows + 1) // 2, len(own)
    verified.holdings = [Holding("BTC", whole_units(sum(own), _SATOSHI_DECIMALS), whole_units(known.root[1], _SATOSHI_DECIMALS))]
    _conclude(verified, is_report_nonce=is_report_nonce, found=bool(own))
    return verified


def _secret(account: str | None, nonce: str | None, height: int, *, is_report_nonce: bool) -> bytes | None:
    if nonce is None:
        return None
    if not _NONCE.fullmatch(nonce.lower()):
        raise UnusableInputError("The nonce is not 64 digits of hexadecimal", "Give it as your account shows it")
    if is_report_nonce:
        return bytes.fromhex(nonce)
    if account is None:
        raise UnusableInputError("The account's own nonce needs its number too", "Give that with --user")
    if not (account.isascii() and account.isdigit() and len(account) < 20 and int(account) < _LIMIT):  # noqa: PLR2004 - digits of 2^64
        raise UnusableInputError("The account is not a number", "Give the account's number with --user")
    return account_nonce(bytes.fromhex(nonce), height, int(account))


def _height(line: bytes) -> int:
    if not (head := _HEAD.fullmatch(line)):
        raise MalformedError("its first line is not block_height and a number")
    return int(head[1])


def _check_nodes(made: Check, path: Path, tree: _Tree, secret: bytes | None, progress: Progress) -> None:
    parents, children = _rows(path), _rows(path)
    tree.root = next(children, (b"", 0))
    tree.rows = 1
    for left in children:
        right = next(children, None)
        if right is None:
            raise MalformedError("a node stands alone: the file was cut, or its number of leaves is no power of two")
        parent = next(parents)
        for node in (left, right):
            _match(tree, node, secret)
        value = left[1] + right[1]
        if value >= _LIMIT:
            raise MalformedError(f"line {tree.rows // 2 + 1:,}: the sum of its children reaches 2^64")
        line = tree.rows // 2 + 1
        made.expect(value == parent[1], f"line {line:,}: its value is not the sum of its children's")
        expected = hashlib.sha256(left[0] + struct.pack("<Q", left[1]) + right[0] + struct.pack("<Q", right[1])).digest()
        made.expect(expected == parent[0], f"line {line:,}: its hash is not that of its children")
        progress(f"checked {tree.rows:,} rows")
    if tree.rows < 3 or tree.rows & (tree.rows + 1):  # noqa: PLR2004 - a root and two leaves
        raise MalformedError(f"{tree.rows:,} rows are no whole tree: its number of leaves is no power of two")


def _match(tree: _Tree, node: tuple[bytes, int], secret: bytes | None) -> None:
    """Keep the row if it is made with the secret. Which rows are leaves is known at the end of the file, so levels are kept apart."""
    level = (tree.rows + 1).bit_length() - 1
    index = tree.rows + 1 - (1 << level)
    tree.rows += 1
    if secret is not None and hmac.digest(secret, struct.pack("<QQ", node[1], index), "sha256") == node[0]:
        tree.matches.setdefault(level, []).append(node[1])


def _rows(path: Path) -> Iterator[tuple[bytes, int]]:
    with path.open("rb") as file:
        file.readline(_LONGEST_LINE)
        number = 1
        while line := file.readline(_LONGEST_LINE):
            number += 1
            row = _ROW.fullmatch(line)
            if not row or int(row[2]) >= _LIMIT:
                raise MalformedError(f"line {number:,} is not a hash and a value from 0 to 2^64")
            yield bytes.fromhex(row[1].decode()), int(row[2])


def _conclude(verified: VerifiedProof, *, is_report_nonce: bool, found: bool) -> None:
    verified.weaknesses += [
        "The report is named by a block height alone, and by nothing in a node: neither the exchange nor the asset is bound.",
        "The number of an account's leaves is bound nowhere: compare their sum with your own balance.",
        "Leaves and nodes have no prefixes of their own; only the secret keeps them apart.",
    ]
    if is_report_nonce:
        verified.weaknesses.append(
            "With the report's nonce no account is bound: two users with equal balances can be given one nonce, and one set of leaves."
        )
    if verified.findings.exit_code == Exit.FAILED:
        verified.holdings = []
    elif found:
        verified.proven.append(
            "The leaves that this secret makes are in the total shown, to the satoshi; every node binds each child's value, and no value is negative."
        )
    verified.not_proven.append("That the balance shown is all that you are owed, or that reserves cover the total.")
