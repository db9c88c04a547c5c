"""The rules that a single flow must meet, and the explanation of one that breaks them.

Sources hold flows to these rules where they add them up, each in the SQL of its server; what is refused there is explained here.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.config import Settings
from assay.errors import AssayError, LedgerError
from assay.liabilities.finer_digits import read_amount
from assay.liabilities.interface import FLOW_KINDS

FLOW_KEY = ("flow_id", "user_id", "account_type", "asset")
"""One flow: a trade has several legs under one `flow_id`."""


def flow_error(settings: Settings, row: Sequence[str | None]) -> AssayError:
    """Say which rule a flow breaks.

    Args:
        settings: Names assets and account types.
        row: FLOW_KEY, kind, amount.
    """
    flow_id, user_id, account_type, asset, kind, amount = row
    for name, value, known in (
        ("asset", asset, tuple(settings.assets)),
        ("kind", kind, FLOW_KINDS),
        ("account type", account_type, settings.ledger.account_types),
    ):
        if value not in known:
            problem = f"{name} {value!r} is unknown; known are {', '.join(known)}"
            break
    else:
        empty = [name for name, value in (("flow_id", flow_id), ("user_id", user_id), ("amount", amount)) if not value]
        if not empty:
            read_amount(settings, str(amount), str(asset), subject=_subject(settings, row))
        problem = f"{empty[0] if empty else 'amount'} is empty"
    return LedgerError(problem, subject=_subject(settings, row), next_step="correct the ledger's view, or the configuration")


def repeated_flow(settings: Settings, row: Sequence[str | None], copies: object) -> AssayError:
    """Say that a flow (FLOW_KEY) is there more than once."""
    return LedgerError(
        f"the flow is there {copies} times", subject=_subject(settings, row), next_step="remove the duplicate from the ledger's view"
    )


def _subject(settings: Settings, row: Sequence[str | None]) -> str:
    return f"ledger {settings.ledger.connection}, assay_flows, flow {row[0]}, user {row[1]}, {row[2]}, {row[3]}"
