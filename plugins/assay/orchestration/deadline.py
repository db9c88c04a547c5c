"""When a run should have ended, counted from the moment that it attests to.

Airflow's own references know when a run was queued, and a partitioned run has no logical date. Every process of Airflow that loads
plugins imports this module, so it imports the standard library and Airflow's definitions alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from airflow.sdk.definitions.deadline import BaseDeadlineReference


class AttestedMoment(BaseDeadlineReference):
    """The attested moment of a run, or the run's start where that is later: months of the past are not late when they begin."""

    required_kwargs: ClassVar[set[str]] = {"dag_id", "run_id"}

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        """Return the moment; Airflow calls this when it creates a run, and adds the interval."""
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        row = session.execute(select(DagRun.partition_key, DagRun.conf).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).first()
        text = row and (row[0] or (row[1] or {}).get("as_of"))
        now = datetime.now(UTC)
        try:
            return max(now, datetime.fromisoformat(str(text))) if text else now
        except (ValueError, TypeError):
            return now  # The run's first task refuses a moment that is none.
