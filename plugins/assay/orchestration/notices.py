"""Telling people: what failed, is late or is short, in words, by mail and to a webhook.

Airflow's own notifiers send, through Connections that the configuration names. They are called without rendering templates: what a
notice says comes from nodes, ledgers and files, and is text, never a template.

A notice names no user. Errors about the ledger's rows name users, so of those it gives the kind and the next step, and the log has the
rest; of an error that Assay did not raise itself it gives the type alone, since nobody knows what its text holds.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.config import Settings
from assay.errors import AmountError, AssayError, CommitmentError, LedgerError, QualityCrashError, QualityError
from assay.lake import parse_as_of, run_folder
from assay.orchestration import places

LOGGER = logging.getLogger(__name__)

_ABOUT_USERS = (LedgerError, CommitmentError, AmountError, QualityError, QualityCrashError)
_ROWS = " Broken by "
"""Stands in a `ComputationError` before the rows that break a rule."""
_LONGEST = 2000
_SECONDS = 20
_WAITING = "look at what it waits for: finality, the ledger's closing, an approval, a pool"
_AFTER_DEADLINE = {"failed": "mend what its failed task names, then start the moment again"}
_REASONS = {
    "timed_out": "It took longer than its dagrun_timeout",
    "all_tasks_deadlocked": "None of its tasks could run any more",
}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What is told.

    Attributes:
        kind: One of `config_checks.NOTICES`.
        subject: One line.
        lines: Name and value, in the order in which they are read.
    """

    kind: str
    subject: str
    lines: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The notice as plain text."""
        return "\n".join([self.subject, "", *(f"{name}: {value}" for name, value in self.lines.items())])

    @property
    def page(self) -> str:
        """The notice as HTML, everything in it escaped."""
        rows = "".join(
            f'<tr><th align="left" valign="top">{html.escape(name)}</th><td>{_linked(value)}</td></tr>'
            for name, value in self.lines.items()
        )
        return f"<p>{html.escape(self.subject)}</p><table>{rows}</table>"

    @property
    def payload(self) -> dict[str, Any]:
        """The notice for a webhook; chat services show `text`."""
        return {"text": self.text, "kind": self.kind, "subject": self.subject, "facts": dict(self.lines)}


def said(error: BaseException | None) -> str:
    """Return what may be told of an error outside of Airflow."""
    if error is None:
        return "The task ended without an error of its own: its process was killed, or Airflow ended it. The log has what is known."
    if not isinstance(error, AssayError):
        return f"{type(error).__name__}, which is no error of Assay's own. Its text stands in the log alone."
    if isinstance(error, _ABOUT_USERS):
        return f"{type(error).__name__}. The log has the whole sentence, which may name a user. Next step: {error.next_step}."
    return (
        str(error) if _ROWS not in error.problem else f"{error.subject}: {error.problem.partition(_ROWS)[0]} Next step: {error.next_step}."
    )


def of_task(settings: Settings, context: Mapping[str, Any]) -> Notice:
    """Return the notice of a task that failed for good."""
    instance, error = context["ti"], context.get("exception")
    run = context["dag_run"]
    lines = _run_lines(settings, instance.dag_id, run.run_id, _moment_of(run.partition_key, context.get("params") or {}))
    index = instance.map_index if instance.map_index is not None else -1
    lines |= {"task": instance.task_id}
    if index >= 0:
        lines |= {
            "map index": f"{index} ({context['map_index_name']})" if context.get("map_index_name") else str(index),
            "others": "Further chunks of the same task that fail are not told one by one; the run's page shows all.",
        }
    address = places.task_address(dag_id=instance.dag_id, run_id=run.run_id, task_id=instance.task_id, map_index=index)
    kind = type(error).__name__ if isinstance(error, AssayError) else ""
    lines |= {
        "error": said(error)[:_LONGEST],
        "log": address,
        "runbook": places.from_outside(places.runbook(settings.notices, kind)),
    }
    return Notice(kind="failure", subject=_subject(settings, lines, f"{instance.task_id} of {instance.dag_id} failed"), lines=lines)


def of_run(settings: Settings, context: Mapping[str, Any]) -> Notice:
    """Return the notice of a run that Airflow ended although no task of it failed."""
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    run = context.get("dag_run")
    moment = _moment_of(run.partition_key, context.get("params") or {}) if run else ""
    reason = str(context.get("reason"))
    lines = _run_lines(settings, dag_id, run_id, moment) | {
        "error": f"{_REASONS.get(reason, reason)}. Next step: look at the tasks that had not ended.",
        "log": places.task_address(dag_id=dag_id, run_id=run_id),
        "runbook": places.from_outside(places.runbook(settings.notices)),
    }
    return Notice(kind="failure", subject=_subject(settings, lines, f"the run of {dag_id} failed"), lines=lines)


def of_deadline(settings: Settings, context: Mapping[str, Any]) -> Notice:
    """Return the notice of a run that had not ended in time; `context` is the small one that Airflow gives to callbacks of deadlines."""
    run = context["dag_run"]
    dag_id, run_id, state = run["dag_id"], run["dag_run_id"], run.get("state")
    lines = _run_lines(settings, dag_id, run_id, _moment_of(run.get("partition_key"), run.get("conf") or {})) | {
        "error": f"It had not ended well {settings.notices.deadline_hours} hours after its moment, or after its start if that was later; its "
        f"state is {state}. Next step: {_AFTER_DEADLINE.get(str(state), _WAITING)}.",
        "log": places.task_address(dag_id=dag_id, run_id=run_id),
        "runbook": places.from_outside(places.runbook(settings.notices, "a-deadline-has-passed")),
    }
    return Notice(kind="deadline", subject=_subject(settings, lines, f"{dag_id} is late"), lines=lines)


def of_publication(settings: Settings, *, folder: str, dag_id: str, run_id: str, moment: str, short: Mapping[str, str]) -> Notice:
    """Return the notice of a publication.

    Args:
        settings: The configuration in force.
        folder: Name of the publication's folder.
        dag_id: Of the run that published it.
        run_id: Of the same.
        moment: The attested moment.
        short: By asset that is not fully backed, by how much, in whole units with the asset's name.
    """
    assets = ", ".join(f"{asset} is short by {amount}" for asset, amount in short.items())
    verdict = assets or "every asset is fully backed"
    lines = _run_lines(settings, dag_id, run_id, moment) | {
        "publication": folder,
        "verdict": verdict,
        "report": places.from_outside(places.published_report(folder)),
    }
    if short:
        lines |= {"runbook": places.from_outside(places.runbook(settings.notices, "an-asset-is-short"))}
    return Notice(
        kind="shortfall" if short else "published",
        subject=_subject(settings, lines, f"published, and {verdict}"),
        lines=lines,
    )


def tell(settings: Settings, notice: Notice) -> list[str]:
    """Send a notice through every channel that is configured; what cannot be sent is an error in the log, and stops nothing.

    Returns:
        The Connections that it went through.
    """
    return [name for name, notifier in _notifiers(settings, notice) if _sent(name, lambda notifier=notifier: notifier.notify({}))]


def tell_failed_task(context: Mapping[str, Any]) -> None:
    """Send the notice of a failed task; of a mapped one the first of a try alone, since thousands of chunks fail with one node."""
    settings = Settings.load()
    if "failure" in settings.notices.on and _first(settings, context):
        tell(settings, of_task(settings, context))


def tell_failed_run(context: Mapping[str, Any]) -> None:
    """Send the notice of a run that failed without a failed task; a failed task has told of itself."""
    settings = Settings.load()
    if "failure" in settings.notices.on and context.get("reason") != "task_failure":
        tell(settings, of_run(settings, context))


async def tell_missed_deadline(context: Mapping[str, Any]) -> str:
    """Send the notice of a deadline that has passed; the triggerer calls it.

    Returns:
        The Connections that it went through, for Airflow's record of the callback.
    """
    settings = await asyncio.to_thread(Settings.load)
    if "deadline" not in settings.notices.on:
        return ""
    through = []
    for name, notifier in _notifiers(settings, of_deadline(settings, context)):
        try:
            await notifier.async_notify({})
            through.append(name)
        except Exception as error:  # noqa: BLE001 - one channel that fails must not silence the other
            _complain(name, error)
    return ", ".join(through)


def _run_lines(settings: Settings, dag_id: str, run_id: str, moment: str) -> dict[str, str]:
    return {"series": settings.series, "moment": moment or "none", "dag": dag_id, "run": run_id}


def _subject(settings: Settings, lines: Mapping[str, str], what: str) -> str:
    return f"Assay, {settings.series}, {lines['moment']}: {what}"


def _moment_of(partition_key: str | None, params: Mapping[str, Any]) -> str:
    return str(partition_key or params.get("as_of") or "")


def _notifiers(settings: Settings, notice: Notice) -> list[tuple[str, Any]]:
    chosen = settings.notices
    found: list[tuple[str, Any]] = []
    if chosen.smtp_connection:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        mail = SmtpNotifier(
            to=list(chosen.mail_to),
            from_email=chosen.mail_from or None,
            subject=" ".join(notice.subject.split()),
            html_content=notice.page,
            smtp_conn_id=chosen.smtp_connection,
        )
        found.append((chosen.smtp_connection, mail))
    if chosen.webhook_connection:
        from airflow.providers.http.notifications import HttpNotifier

        hook = HttpNotifier(http_conn_id=chosen.webhook_connection, json=notice.payload, extra_options={"timeout": _SECONDS})
        found.append((chosen.webhook_connection, hook))
    return found


def _sent(name: str, send: Any) -> bool:
    try:
        send()
    except Exception as error:  # noqa: BLE001 - one channel that fails must not silence the other, nor the task
        _complain(name, error)
        return False
    return True


def _complain(name: str, error: Exception) -> None:
    # The text of the error may hold the webhook's address, which is as good as a key.
    LOGGER.error("The notice could not be sent through the Connection %s: %s. Check the Connection.", name, type(error).__name__)


def _first(settings: Settings, context: Mapping[str, Any]) -> bool:
    """Whether no other instance of the same mapped task and try has told already; a file that only one of them can make says so."""
    instance = context["ti"]
    moment = _moment_of(context["dag_run"].partition_key, context.get("params") or {})
    if instance.map_index is None or instance.map_index < 0 or not moment:
        return True
    folder = run_folder(settings.lake, "raw", "notices", parse_as_of(moment), context["dag_run"].run_id)
    mark = folder / f"{instance.task_id}-{instance.try_number}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True  # A full disk is what people must hear of.
    return True


def _linked(value: str) -> str:
    shown = html.escape(value)
    return f'<a href="{shown}">{shown}</a>' if value.startswith(("http://", "https://")) else shown
