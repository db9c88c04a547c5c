"""Telling the formats of proofs apart, and checking a file by the rules of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay_verify.findings import MalformedError, UnusableInputError
from assay_verify.progress import Progress
from assay_verify.sum_tree import bitmex, first_generation, inclusion, proof, second_generation, strict_json
from assay_verify.sum_tree.inclusion import Expected
from assay_verify.sum_tree.verified import VerifiedProof

LARGEST_PROOF = 64 << 20
"""Bytes. A proof of 4,096 leaves has less."""

_KNOWN = "Give a proof file as your custodian made it; `assay-verify inclusion --help` lists the formats"


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """What only the formats of other publishers need.

    Attributes:
        tree: The file of the whole tree that a user's file refers to.
        nonce: A user's secret.
        is_report_nonce: It is that of one report, not the account's own.
    """

    tree: Path | None = None
    nonce: str | None = None
    is_report_nonce: bool = True


def check_file(path: Path, expected: Expected, foreign: Foreign | None = None, progress: Progress | None = None) -> VerifiedProof:
    """Check a proof of any known format.

    Args:
        path: The file.
        expected: What to hold it against. A commitment is compared with the root's hash in formats that have none.
        foreign: What formats of other publishers need.
        progress: Told how far it is.

    Raises:
        UnusableInputError: The file cannot be read, is too large, is not JSON, or of no known format.
    """
    foreign, progress = foreign or Foreign(), progress or Progress(wanted=False)
    try:
        with path.open("rb") as file:
            beginning = file.read(len(bitmex.FIRST_BYTES))
            if beginning != bitmex.FIRST_BYTES:
                # Looked at before it is read; what claims to be shorter than it is ends at the limit.
                size = path.stat().st_size
                content = beginning + file.read(LARGEST_PROOF) if size <= LARGEST_PROOF else b""
    except OSError as error:
        raise UnusableInputError(f"{path} cannot be read ({error.strerror})", "Give the file of a proof") from error
    if beginning == bitmex.FIRST_BYTES:
        return _check_bitmex(path, expected, foreign, progress)
    if size > LARGEST_PROOF or len(content) > LARGEST_PROOF:
        raise UnusableInputError(f"{path} is larger than 64 MiB, and no proof is", _KNOWN)
    return check_content(content, expected, foreign, progress, subject=str(path))


def check_content(
    content: bytes, expected: Expected, foreign: Foreign | None = None, progress: Progress | None = None, *, subject: str = "The proof"
) -> VerifiedProof:
    """Check a proof of a format that is JSON; see check_file."""
    foreign, progress = foreign or Foreign(), progress or Progress(wanted=False)
    try:
        document = strict_json.read(content)
    except strict_json.NotJsonError as error:
        raise UnusableInputError(f"{subject} cannot be checked: {error}", _KNOWN) from error
    except MalformedError as error:
        return inclusion.failed_form(str(error))
    if not isinstance(document, dict):
        raise UnusableInputError(f"{subject} is no JSON object", _KNOWN)
    if "format" in document:
        if document["format"] != proof.FORMAT:
            raise UnusableInputError(f"{subject} is of the format {strict_json.shown(document['format'])}, which is unknown here", _KNOWN)
        return inclusion.check(document, expected)
    _refuse_publication(expected)
    if document.keys() >= first_generation.MEMBERS:
        return first_generation.check(document, expected.commitment)
    if document.keys() >= second_generation.MEMBERS:
        return second_generation.check(document, foreign.tree, expected.commitment, progress)
    raise UnusableInputError(f"{subject} is of no known format", _KNOWN)


def _check_bitmex(path: Path, expected: Expected, foreign: Foreign, progress: Progress) -> VerifiedProof:
    _refuse_publication(expected)
    return bitmex.check(
        path,
        expected.user_id,
        foreign.nonce,
        is_report_nonce=foreign.is_report_nonce,
        published_root=expected.commitment,
        progress=progress,
    )


def _refuse_publication(expected: Expected) -> None:
    if expected.publication is not None:
        raise UnusableInputError("This proof is of another publisher's format, which no publication here has", "Leave out --publication")
