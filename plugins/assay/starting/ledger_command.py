"""`assay ledger control`: counts a drop of files and writes its control file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from assay.terminal_table import Column, print_table

_DESCRIPTION = """\
Count the files of a drop and write its control.json: rows and SHA-256 of every file, and the totals of every account type and asset.
A control file that is made from the drop shows that the files arrive as they were counted. It does not show that the ledger left nothing
out: for that, have the ledger write control.json from totals of its own closing."""


def add_parser(commands: Any) -> None:
    """Add `ledger` to the commands of `assay`."""
    ledger = commands.add_parser("ledger", help="prepare what the ledger hands over").add_subparsers(required=True, metavar="COMMAND")
    control = ledger.add_parser("control", help="count a drop of files and write its control.json", description=_DESCRIPTION)
    control.add_argument("folder", type=Path, metavar="FOLDER", help="the drop of a moment, named like 2023-02-17T160000Z")
    control.add_argument(
        "--flows-from", metavar="AS_OF", help="where the files in flows/ begin: the previous report's moment, 2023-01-18T16:00:00Z"
    )
    control.add_argument("--replace", action="store_true", help="write over a control.json that says something else")
    control.set_defaults(run=_control)


def _control(given: argparse.Namespace, console: Console) -> int:
    from assay.config import Settings
    from assay.lake import parse_as_of
    from assay.liabilities.control import write_control

    flows_from = parse_as_of(given.flows_from) if given.flows_from else None
    counted = write_control(Settings.load(), given.folder, flows_from=flows_from, replace=given.replace)
    columns = [
        Column(name=name, right=name not in {"account type", "asset"}) for name in ("account type", "asset", "rows", "users", "total")
    ]
    rows = [
        (escape(item["account_type"]), escape(item["asset"]), f"{item['row_count']:,}", f"{item['user_count']:,}", item["total_amount"])
        for item in counted.content["totals"]
    ]
    print_table(console, f"Balances of {counted.content['as_of']}, as counted", columns, rows)
    files, count = counted.content["files"], sum(item["rows"] for item in counted.content["files"])
    console.print(f"{len(files):,} file{'s'[: len(files) != 1]} with {count:,} row{'s'[: count != 1]}")
    console.print(f"{'wrote' if counted.written else 'unchanged:'} {counted.path}", soft_wrap=True, markup=False)
    console.print("It was made from the files themselves: it cannot show that the ledger left nothing out.", soft_wrap=True)
    return 0
