"""The archived answers of the chains' sources, and whether every balance points at one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa

from assay_verify import facts
from assay_verify.findings import Findings, MalformedError
from assay_verify.manifest import Manifest

SUFFIX = ".jsonl.zst"
_PIECE = 1 << 20


def check(findings: Findings, folder: Path, manifest: Manifest, referenced: dict[str, set[str]]) -> int:
    """Hold the balances' references against the digests of the archived answers, chain by chain.

    Args:
        findings: The record.
        folder: The publication.
        manifest: Its manifest; only listed archives count.
        referenced: By chain: the references of its balances.

    Returns:
        How many archived answers there are.
    """
    count = 0
    with findings.check("evidence", "Every balance refers to an archived answer of its chain's sources that is in this folder.") as found:
        for chain, references in sorted(referenced.items()):
            archived: set[str] = set()
            for name in manifest.files:
                if name.startswith(f"evidence/{chain}/") and name.endswith(SUFFIX):
                    archived.update(digests(folder / name))
            count += len(archived)
            for reference in sorted(references):
                found.expect(reference in archived, f"{chain}: the answer {reference} is not archived")
    return count


def check_facts(findings: Findings, folder: Path, manifest: Manifest, chains: Collection[str]) -> None:
    """Make sure that the facts about chains, with which balances are checked, are readable and name every chain."""
    with findings.check("evidence.facts", "What is published about the chains is readable, and names every chain.") as made:
        if made.expect(facts.FILE_NAME in manifest.files, f"{facts.FILE_NAME} is missing"):
            known = facts.read((folder / facts.FILE_NAME).read_bytes())
            for chain in sorted(chains):
                made.expect(chain in known, f"{facts.FILE_NAME} does not name {chain}")


def digests(path: Path) -> Iterator[str]:
    """Yield the SHA-256 of each line of an archive, without its line feed, in bounded memory.

    Raises:
        MalformedError: It is not zstd, or its last line is cut off.
    """
    digest, pending = hashlib.sha256(), False
    try:
        with pa.OSFile(str(path), "rb") as file, pa.CompressedInputStream(file, "zstd") as stream:
            while piece := stream.read(_PIECE):
                *ended, rest = piece.split(b"\n")
                for line in ended:
                    digest.update(line)
                    yield digest.hexdigest()
                    digest, pending = hashlib.sha256(), False
                digest.update(rest)
                pending = pending or bool(rest)
    except (OSError, pa.ArrowException) as error:
        raise MalformedError(f"{path.name} is not a readable archive ({str(error).splitlines()[0]})") from error
    if pending:
        raise MalformedError(f"the last line of {path.name} is cut off")
