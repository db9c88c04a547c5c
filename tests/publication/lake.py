"""A lake with the two sample publications, for the tests of publishing and of verifying."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime
from pathlib import Path

from assay.config import Settings
from assay.publication import publish, staging
from assay.publication.log import Log
from assay.publication.publish import Published
from tests.publication.sample import FIRST, SECOND, Inputs, commit, make_inputs

NOW = datetime(2023, 3, 1, 12, tzinfo=UTC)


def settings_for(inputs: Inputs, root: Path) -> Settings:
    return dataclasses.replace(inputs.settings, lake=root / "lake")


def stage(root: Path, inputs: Inputs, as_of: datetime, *, revision: int = 1, reason: str = "", work: str = "work") -> Path:
    settings = settings_for(inputs, root)
    corrects = publish.correction(settings, as_of=as_of, revision=revision, reason=reason)
    previous = Log.read(publish.series_folder(settings)).previous(as_of, revision=revision)
    return staging.stage(
        settings,
        as_of=as_of,
        tables=inputs.tables,
        evidence=inputs.evidence,
        tree=inputs.tree if revision == 1 else commit(settings, inputs.tables, as_of, revision, root / f"commitment-{work}"),
        contracts=inputs.contracts,
        previous=previous,
        work=root / work,
        corrects=corrects,
    )


def publish_moment(root: Path, as_of: datetime) -> Published:
    inputs = make_inputs(root / f"inputs-{as_of:%m}", as_of)
    return publish.publish(settings_for(inputs, root), stage(root, inputs, as_of), now=NOW)


def make_lake(root: Path) -> Path:
    """Publish both moments; return the folder of the series."""
    publish_moment(root, FIRST)
    return publish_moment(root, SECOND).folder.parent


def copy_series(series: Path, target: Path) -> Path:
    """Copy a series so that its files can be changed."""
    shutil.copytree(series, target)
    for path in target.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    return target
