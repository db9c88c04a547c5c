"""Configuration, registry, prices and the moment: what can be known without asking anybody."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from assay.doctor.findings import Finding, Patient, noting, ok, warning
from assay.environment import ENV_FILE
from assay.lake import format_as_of
from assay.moments import check_moment
from assay.prices import check_files
from assay.publication.log import Log
from assay.registry import check_configuration, check_registry


def check(patient: Patient) -> Iterator[Finding]:
    """Look at the configuration and the moment."""
    settings, as_of = patient.settings, patient.as_of
    found: list[Finding] = []
    with noting(found, "configuration"):
        check_configuration(settings)
        found.append(ok("configuration", f"{settings.path}, series {settings.series}"))
    with noting(found, "wallets"):
        wallets = check_registry(settings)
        chains = [f"{sum(wallet.chain == name for wallet in wallets)} on {name}" for name in settings.chains]
        found.append(ok("wallets", ", ".join(chains)))
    with noting(found, "prices"):
        check_files(settings, as_of)
        found.append(ok("prices", f"every asset has one at {format_as_of(as_of)}"))
    with noting(found, "moment"):
        check_moment(settings, as_of, correction=None)
        found.append(_moment(patient))
    found.append(_env(patient))
    yield from found


def _moment(patient: Patient) -> Finding:
    settings, as_of = patient.settings, patient.as_of
    if Log.read(settings.lake / "publications" / settings.series).of(as_of):
        return warning(
            "moment", f"{format_as_of(as_of)} is published already", "to publish it with other content, give `assay attest` a --correction"
        )
    latest = as_of + timedelta(seconds=max((0, *settings.stability.offsets_seconds)))
    if latest > datetime.now(UTC):
        return warning(
            "moment",
            f"the wallets are read once more at {format_as_of(latest)}, which is still to come",
            "nothing: a run waits until then; [stability] offsets_seconds says so",
        )
    return ok("moment", f"{format_as_of(as_of)} is new to the series, and its blocks have passed")


def _env(patient: Patient) -> Finding:
    path = patient.settings.path.parent / ENV_FILE
    if not path.exists():
        return ok("secrets", f"no {ENV_FILE} beside the configuration; the environment alone counts")
    return ok("secrets", f"{path} is for its owner alone (mode {stat.S_IMODE(path.stat().st_mode):o})")
