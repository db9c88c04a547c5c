"""Checking that a user's balance is in a published total, by a proof of the form `assay-inclusion-proof-v1`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay_verify.arithmetic import whole_units
from assay_verify.findings import Check, Exit, MalformedError, UnusableInputError
from assay_verify.sum_tree import hashing, published
from assay_verify.sum_tree.hashing import AMOUNT_LIMIT
from assay_verify.sum_tree.proof import FORMAT, Leaf, Node, Proof, parse
from assay_verify.sum_tree.published import Commitment
from assay_verify.sum_tree.strict_json import shown
from assay_verify.sum_tree.verified import Holding, VerifiedProof

_FORM = "The file is a proof of a known form, with nothing missing, doubled or written in two ways."


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a proof is held against, beside itself.

    Attributes:
        user_id: Whose proof it should be; None if that is not to be checked.
        without_user: Whoever asked does without that check; it is said, and does not fail the run.
        commitment: The published commitment, as 64 digits.
        publication: The folder that has it.
        without_commitment: Likewise, without either.
    """

    user_id: str | None = None
    without_user: bool = False
    commitment: str | None = None
    publication: Path | None = None
    without_commitment: bool = False

    def __post_init__(self) -> None:
        if self.commitment is not None and self.publication is not None:
            raise UnusableInputError("A commitment and a publication were given", "Give one of them")


def check(document: object, expected: Expected | None = None) -> VerifiedProof:
    """Check a proof.

    Args:
        document: What stood in the JSON.
        expected: What to hold it against; nothing by default, which leaves the run incomplete.

    Raises:
        UnusableInputError: The folder that was named as the publication is none.
    """
    expected = expected or Expected()
    verified = VerifiedProof(FORMAT)
    proof = _parsed(verified, document)
    if proof is None:
        return verified
    _describe(verified, proof)
    _check_user(verified, proof, expected)
    _check_paths(verified, proof)
    with verified.findings.check("commitment.own", "The commitment is that of this root, number of leaves, assets and report.") as made:
        own = proof.report.commitment(proof.leaf_count, proof.root.written)
        made.expect(own == proof.commitment, f"the proof says {proof.commitment.hex()}, and its own root makes it {own.hex()}")
    _check_published(verified, proof, expected)
    _conclude(verified, proof)
    return verified


def failed_form(problem: str, *, name: str = "unknown") -> VerifiedProof:
    """Return the verdict on something that was refused before its format was known."""
    verified = VerifiedProof(name)
    with verified.findings.check("form", _FORM) as made:
        made.expect(held=False, failure=problem)
    return verified


def _parsed(verified: VerifiedProof, document: object) -> Proof | None:
    with verified.findings.check("form", _FORM) as made:
        proof = parse(document)
        made.expect(held=True, failure="")
        return proof
    return None


def _describe(verified: VerifiedProof, proof: Proof) -> None:
    report = proof.report
    verified.report = [f"series {shown(report.series)[1:-1]}", report.as_of, f"revision {report.revision}"]
    verified.leaves, verified.parts, verified.commitment = proof.leaf_count, len(proof.leaves), proof.commitment.hex()
    own = [sum(amounts) for amounts in zip(*(leaf.balances for leaf in proof.leaves), strict=True)]
    verified.holdings = [
        Holding(shown(symbol)[1:-1], whole_units(amount, decimals), whole_units(total, decimals))
        for (symbol, decimals), amount, total in zip(report.assets, own, proof.root.balances, strict=True)
    ]


def _check_user(verified: VerifiedProof, proof: Proof, expected: Expected) -> None:
    with verified.findings.check("user", "The proof is about the user id that was given.") as made:
        if expected.user_id is None:
            reason = "left out as asked for (--no-user)" if expected.without_user else "no user id was given; give yours with --user"
            made.skip(f"whose proof it is could not be checked: {reason}", accepted=expected.without_user)
            return
        try:
            key = proof.report.user_key(proof.blind, expected.user_id)
        except UnicodeEncodeError as error:
            raise UnusableInputError("The user id is no text that can be written as UTF-8", "Give it as your account shows it") from error
        made.expect(key == proof.user_key, "blind and user id do not make the user key: it is another's proof, or it was altered")


def _check_paths(verified: VerifiedProof, proof: Proof) -> None:
    claim = "From each part of the user, hashes and sums lead to the root, with no balance below zero and no sum too large."
    with verified.findings.check("path", claim) as made:
        for part, leaf in enumerate(proof.leaves):
            _climb(made, proof, part, leaf)


def _climb(made: Check, proof: Proof, part: int, leaf: Leaf) -> None:
    """Compute the nodes above a leaf, and hold the last one against the root."""
    report, position = proof.report, leaf.position
    balances = leaf.balances
    own = report.leaf(proof.user_key, part, len(proof.leaves), leaf.nonce, hashing.pack(balances))
    for level, given in enumerate(leaf.path):
        sibling = given or Node(report.padding(level), (0,) * len(balances))
        pair = [own + hashing.pack(balances), sibling.written]
        left, right = reversed(pair) if position & 1 else pair
        own = report.node(level + 1, left, right)
        balances = tuple(a + b for a, b in zip(balances, sibling.balances, strict=True))
        if max(balances) >= AMOUNT_LIMIT:
            raise MalformedError(f"part {part}: a sum reaches 10^38 at level {level + 1}")
        position >>= 1
        made.compared += 1
    made.expect(balances == proof.root.balances, f"part {part}: the sums along its path are not those of the root")
    made.expect(
        own == proof.root.hash, f"part {part}: the hashes along its path lead to {own.hex()}, and the root is {proof.root.hash.hex()}"
    )


def _check_published(verified: VerifiedProof, proof: Proof, expected: Expected) -> None:
    if expected.publication is not None:
        _check_publication(verified, proof, expected.publication)
        return
    with verified.findings.check("commitment.published", "The commitment is the published one.") as made:
        if expected.commitment is not None:
            made.expect(
                expected.commitment.lower() == proof.commitment.hex(),
                f"the published one is {shown(expected.commitment)[1:-1]}, and the proof's is {proof.commitment.hex()}: it is of another tree",
            )
            return
        reason = (
            "left out as asked for (--no-commitment)"
            if expected.without_commitment
            else "none was given; give the folder with --publication, or the 64 digits with --commitment"
        )
        made.skip(f"the published commitment could not be compared: {reason}", accepted=expected.without_commitment)


def _check_publication(verified: VerifiedProof, proof: Proof, folder: Path) -> None:
    # Reading a manifest loads the library for Parquet, which a proof alone needs none of.
    from assay_verify import manifest, publication  # noqa: PLC0415

    folder = folder.resolve()
    publication.require_publication(folder)
    known: manifest.Manifest | None = None
    with verified.findings.check("commitment.published", "The commitment is the one in the publication's manifest.") as made:
        known = manifest.read(folder)
        listed = published.in_manifest(known)
        made.expect(
            listed == proof.commitment, f"the manifest's is {listed.hex()}, the proof's is {proof.commitment.hex()}: it is of another tree"
        )
        report = proof.report
        for name, said in (("series", report.series), ("as_of", report.as_of), ("revision", report.revision)):
            made.expect(
                known.values[name] == said, f"{name}: the manifest says {shown(known.values[name])}, and the proof says {shown(said)}"
            )
    with verified.findings.check(
        "commitment.file", f"The publication's {published.FILE_NAME} is listed, and says what the proof says."
    ) as made:
        path = folder / published.FOLDER / published.FILE_NAME
        commitment = published.read(path)
        listing = known.files.get(f"{published.FOLDER}/{published.FILE_NAME}", {}) if known else {}
        made.expect(manifest.measure(path)[1] == listing.get("sha256"), f"the manifest does not list this {published.FILE_NAME}")
        _compare(made, proof, commitment)


def _compare(made: Check, proof: Proof, commitment: Commitment) -> None:
    # Report, number of leaves and root are what the commitment is of, in the file as in the proof.
    where = published.FILE_NAME
    if not made.expect(commitment.commitment == proof.commitment, f"{where} has another commitment"):
        return
    for part, leaf in enumerate(proof.leaves):
        for (symbol, _), amount, limit in zip(proof.report.assets, leaf.balances, commitment.limits, strict=True):
            made.expect(amount <= limit, f"part {part}: more {shown(symbol)[1:-1]} than {where} lets a leaf hold")


def _conclude(verified: VerifiedProof, proof: Proof) -> None:
    findings = verified.findings
    if findings.exit_code == Exit.FAILED:
        verified.holdings = []
    else:
        owner = "the user id that was given" if findings.held("user") else "the user whom the proof is about"
        totals = "the published totals" if findings.held("commitment.published") else "the totals shown"
        verified.proven.append(
            f"The balances shown, of {owner}, are counted in {totals}, to the last unit, in {len(proof.leaves)} of {proof.leaf_count:,} leaves."
        )
        verified.proven.append("Nobody's negative balance lowers these totals along the way: each sum binds what both its halves hold.")
    if not findings.held("user"):
        verified.not_proven.append("Whose proof this is: it names nobody, and only the right user id together with it gives its user key.")
    if not findings.held("commitment.published"):
        verified.not_proven.append(
            "That the totals are the published ones: everybody must be shown one commitment, the one in the manifest."
        )
    verified.not_proven += [
        "That the balances shown are all that you are owed: compare them with your account at that moment.",
        "That every other user is counted: each can check that alone, and `assay-verify tree` checks the whole tree's sums.",
        "That reserves cover the totals: see `assay-verify publication`, `balances` and `ownership`.",
    ]
