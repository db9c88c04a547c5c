"""What a run tells after it has published: that an asset is short, or, where people want to hear of it, that all is well."""

from __future__ import annotations

import logging
from datetime import datetime

from airflow.sdk.exceptions import AirflowSkipException

from assay.config import Settings
from assay.lake import format_as_of
from assay.orchestration import notices
from assay.orchestration.verdict import shortfalls
from assay.publication.log import Log
from assay.publication.publish import series_folder

LOGGER = logging.getLogger(__name__)


def tell(settings: Settings, as_of: datetime, *, dag_id: str, run_id: str) -> None:
    """Say what the newest publication of a moment says, and send it to whoever is to know.

    Raises:
        AirflowSkipException: Every asset is fully backed; the skipped task shows it.
    """
    publication = series_folder(settings) / Log.read(series_folder(settings)).of(as_of)[-1].folder
    short = shortfalls(publication)
    notice = notices.of_publication(
        settings, folder=publication.name, dag_id=dag_id, run_id=run_id, moment=format_as_of(as_of), short=short
    )
    if short:
        LOGGER.warning("%s", notice.subject)
    if notice.kind in settings.notices.on:
        LOGGER.info("This was told through %s", ", ".join(notices.tell(settings, notice)) or "no Connection")
    if not short:
        raise AirflowSkipException("Every asset is fully backed, so there is no shortfall to tell.")
