"""The command `assay-verify`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from assay_verify import __version__, terminal
from assay_verify.findings import Exit, UnusableInputError
from assay_verify.publication import verify

_EPILOG = """\
exit codes: 0 everything held; 1 something does not hold; 2 the input is no publication, or the command was wrong;
3 nothing failed, but something could not be checked. A check that you leave out yourself is named, and doesn't change the code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        verified = verify(options.folder, log_path=options.log, without_log=options.no_log, without_previous=options.no_previous)
    except (UnusableInputError, PermissionError) as error:
        sys.stderr.write(f"assay-verify: {error}\n")
        return Exit.UNUSABLE
    sys.stdout.write((terminal.as_json(verified) if options.json else terminal.as_text(verified)) + "\n")
    return verified.findings.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assay-verify",
        description="Check what a custodian published about its reserves and liabilities.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "publication",
        help="check one publication",
        description="Check one publication.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that holds manifest.json")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--log", type=Path, metavar="PATH", help="the series' log (default: log.jsonl beside FOLDER)")
    which.add_argument("--no-log", action="store_true", help="do without the log")
    one.add_argument("--no-previous", action="store_true", help="do without the publication before, if it is not beside FOLDER")
    one.add_argument("--json", action="store_true", help="print JSON, with every single failure")
    return parser
