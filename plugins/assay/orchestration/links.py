"""Buttons on a task's page in Airflow: report, difference, Data Docs, and the runbook's section on the error.

The worker computes a link when its task has ended and Airflow keeps it beside the task, so the API server needs nothing of Assay to show
it. A link that has nothing to show is empty, and Airflow shows no button for it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.decorator import TaskDecorator, task_decorator_factory

from assay.errors import AssayError


class _RunLink(BaseOperatorLink):
    """A link that is made of the run's moment and id."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - the run alone decides
        """Return the link, empty where the task did not end well: then there may be nothing to show."""
        from assay.lake import parse_as_of
        from assay.orchestration import places

        context = ti_key.get_template_context()
        moment = context["dag_run"].partition_key or context["params"].get("as_of")
        if context.get("exception") is not None or not moment:
            return ""
        return places.on_this_server(self.path(parse_as_of(moment), context["dag_run"].run_id))

    def path(self, as_of: datetime, run_id: str) -> str:
        """Return where the page stands below the API server."""
        raise NotImplementedError


class StagedReportLink(_RunLink):
    """The report that people approve."""

    name = "Staged report"

    def path(self, as_of: datetime, run_id: str) -> str:
        """Return the page of the staged report."""
        from assay.orchestration import places

        return places.staged_report(as_of, run_id)


class StagedDifferenceLink(_RunLink):
    """What changes against the publication before."""

    name = "Difference to the last publication"

    def path(self, as_of: datetime, run_id: str) -> str:
        """Return the page of the comparison."""
        from assay.orchestration import places

        return places.staged_difference(as_of, run_id)


class DataDocsLink(_RunLink):
    """The results of the expectations."""

    name = "Data Docs"

    def path(self, as_of: datetime, run_id: str) -> str:
        """Return the first page of the Data Docs."""
        from assay.orchestration import places

        return places.data_docs(as_of, run_id)


class PublishedReportLink(_RunLink):
    """The report as everybody sees it."""

    name = "Published report"

    def path(self, as_of: datetime, run_id: str) -> str:  # noqa: ARG002 - the newest publication of the moment is this run's
        """Return the page of the newest publication of the moment."""
        from assay.config import Settings
        from assay.orchestration import places
        from assay.publication.log import Log
        from assay.publication.publish import series_folder

        return places.published_report(Log.read(series_folder(Settings.load())).of(as_of)[-1].folder)


class RunbookLink(BaseOperatorLink):
    """What to do about the error that a task ended with."""

    name = "Runbook"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - the same for every task
        """Return the runbook's section on the error, empty where there was none."""
        from assay.config import Settings
        from assay.orchestration import places

        error = ti_key.get_template_context().get("exception")
        if error is None:
            return ""
        kind = type(error).__name__ if isinstance(error, AssayError) else ""
        return places.on_this_server(places.runbook(Settings.load().notices, kind))


class LinkedOperator(_PythonDecoratedOperator):
    """Airflow's own operator for decorated functions, with a button to the runbook. Each button costs a task one call to the API server."""

    operator_extra_links: Collection[BaseOperatorLink] = (RunbookLink(),)


class ValidatingOperator(LinkedOperator):
    """The task that runs the expectations."""

    operator_extra_links = (DataDocsLink(), RunbookLink())


class StagingOperator(LinkedOperator):
    """The task that builds what people approve."""

    operator_extra_links = (StagedReportLink(), StagedDifferenceLink(), RunbookLink())


class PublishingOperator(LinkedOperator):
    """The task that publishes."""

    operator_extra_links = (PublishedReportLink(), RunbookLink())


def linked_task(*, operator: type[LinkedOperator] = LinkedOperator, **arguments: Any) -> TaskDecorator:
    """Turn a function into a task, as Airflow's `@task` does, with buttons.

    Args:
        operator: Which buttons.
        arguments: Of the task, as for `@task`.
    """
    return task_decorator_factory(decorated_operator_class=operator, **arguments)
