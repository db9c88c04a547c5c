"""Whether a moment can be attested at all: known before anything is read, so it is refused before anything is read."""

from __future__ import annotations

from datetime import UTC, datetime

from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import check_as_of, format_as_of


def check_moment(settings: Settings, as_of: datetime, *, correction: str | None, now: datetime | None = None) -> None:
    """Refuse a moment in the future, one before the newest publication that was never published, and a correction of nothing or without words.

    What the deltas will be taken from must stand in its place as well: it is read late, and everything before would be in vain.

    Args:
        settings: Names the series, whose log says what is published.
        as_of: The moment.
        correction: Why it is published again; None or empty for a first publication.
        now: The current time by default.

    Raises:
        ConfigError: It lies in the future.
        PublicationError: It is out of order, the log is broken, there is nothing to correct, the reason is blank, or the publication before
            is gone.
    """
    from assay.publication.log import Log

    check_as_of(as_of, now=now or datetime.now(UTC))
    log = Log.read(settings.lake / "publications" / settings.series)
    log.check_order(as_of)
    if correction and not correction.strip():
        raise PublicationError(
            "the reason for the correction is blank, and it is published", subject=format_as_of(as_of), next_step="say why in words"
        )
    if correction and not log.of(as_of):
        raise PublicationError(
            f"{format_as_of(as_of)} was never published, so there is nothing to correct",
            subject=str(log.path),
            next_step="start it without a correction",
        )
    revision = len(log.of(as_of)) + 1 if correction else 1
    previous = log.previous(as_of, revision=revision)
    if previous and not (log.path.parent / previous.folder / "manifest.json").is_file():
        raise PublicationError(
            "the log names it, the next deltas are taken from it, and it is not there",
            subject=str(log.path.parent / previous.folder),
            next_step="bring the folder back from where it was moved to, or from a backup",
        )
