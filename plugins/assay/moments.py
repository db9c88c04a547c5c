"""Whether a moment can be attested at all: known before anything is read, so it is refused before anything is read."""

from __future__ import annotations

from datetime import UTC, datetime

from assay.config import Settings
from assay.errors import PublicationError
from assay.lake import check_as_of, format_as_of


def check_moment(settings: Settings, as_of: datetime, *, correction: str | None, now: datetime | None = None) -> None:
    """Refuse a moment in the future, one before the newest publication that was never published, and a correction of nothing.

    Args:
        settings: Names the series, whose log says what is published.
        as_of: The moment.
        correction: Why it is published again; None or empty for a first publication.
        now: The current time by default.

    Raises:
        ConfigError: It lies in the future.
        PublicationError: It is out of order, the log is broken, or there is nothing to correct.
    """
    from assay.publication.log import Log

    check_as_of(as_of, now=now or datetime.now(UTC))
    log = Log.read(settings.lake / "publications" / settings.series)
    log.check_order(as_of)
    if correction and not log.of(as_of):
        raise PublicationError(
            f"{format_as_of(as_of)} was never published, so there is nothing to correct",
            subject=str(log.path),
            next_step="start it without a correction",
        )
