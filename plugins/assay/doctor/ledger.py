"""The ledger: reachable, with the rights and columns that are needed, closed at the moment, and of known account types; and the secret of the user keys."""

from __future__ import annotations

from collections.abc import Iterator

from assay.doctor.connections import noting_missing
from assay.doctor.findings import Finding, Patient, failed, noting, ok, warning
from assay.errors import SourceBehindError
from assay.lake import format_as_of
from assay.liabilities.snapshot import needs_connection, probe

_USER_KEYS = "secret of the user keys"


def check(patient: Patient) -> Iterator[Finding]:
    """Look at the ledger without reading a balance, and at the secret."""
    settings = patient.settings
    subject = f"ledger {settings.ledger.connection}"
    found: list[Finding] = []
    with noting(found, subject), noting_missing(patient, found, subject):
        try:
            uri = patient.connect(settings.ledger.connection) if needs_connection(settings) else ""
            found += _totals(patient, subject, probe(settings, patient.as_of, uri))
        except SourceBehindError as error:
            found.append(warning(subject, f"{error.subject}: {error.problem}", error.next_step))
    with noting(found, _USER_KEYS), noting_missing(patient, found, _USER_KEYS):
        patient.secret_of(settings.ledger.pseudonym_connection)
        found.append(ok(_USER_KEYS, f"the Connection {settings.ledger.pseudonym_connection} holds one that is long enough"))
    yield from found


def _totals(patient: Patient, subject: str, totals: list[tuple[str, ...]]) -> Iterator[Finding]:
    settings, moment = patient.settings, format_as_of(patient.as_of)
    if not totals:
        yield warning(subject, f"it can be read, and has no control totals for {moment}", "nothing if it closes later; a run waits for it")
        return
    rows = sum(int(row[2]) for row in totals)
    yield ok(subject, f"it can be read, and has {len(totals)} control totals over {rows:,} rows for {moment}")
    if unknown := sorted({row[0] for row in totals} - set(settings.ledger.account_types)):
        step = "list them in ledger.account_types, or leave their rows out and state that in ledger.excluded"
        yield failed(subject, f"it has account types that are not listed: {', '.join(unknown)}", step)
    if unknown := sorted({row[1] for row in totals} - set(settings.assets)):
        yield failed(
            subject, f"it has assets that are not listed: {', '.join(unknown)}", "list them in assets.toml, or leave their rows out"
        )
