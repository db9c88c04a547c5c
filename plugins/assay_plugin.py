"""Assay in Airflow's API server: the proof service, where ASSAY_PROOF_SERVICE names the path that it answers under.

Every process of Airflow imports this file, so it imports nothing of Assay unless it is asked to. Set the variable for the API server alone.
"""

from __future__ import annotations

import os
import re
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PATH_VARIABLE = "ASSAY_PROOF_SERVICE"
"""Environment variable with a path such as `/proofs`; nothing is mounted where it is empty."""


def _apps() -> list[dict[str, Any]]:
    path = os.environ.get(PATH_VARIABLE, "")
    if not path:
        return []
    path = path.removesuffix("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError(f"{PATH_VARIABLE} is not a path such as /proofs")
    from assay.proof_service.service import from_settings  # noqa: PLC0415 (see above)

    return [{"app": from_settings(), "url_prefix": path, "name": "Assay's inclusion proofs"}]


class AssayPlugin(AirflowPlugin):
    """What Assay adds to Airflow."""

    name = "assay"
    fastapi_apps = _apps()
