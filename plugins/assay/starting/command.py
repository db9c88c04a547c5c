"""`assay init`: flags, questions for what they do not say, the folder, and what to do next."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from assay.errors import ConfigError

if TYPE_CHECKING:
    from assay.config_chains import Asset, Chain
    from assay.starting.plan import Plan
    from assay.starting.questions import Questions

_EXAMPLE = """\
without a terminal, everything is given by flags:
  assay init custody --entity "Example Custodian" --schedule "0 16 17 * *" \\
    --chain ethereum=jsonrpc:https://node-a.example/key \\
    --chain ethereum=jsonrpc:https://node-b.example/key \\
    --asset ETH --asset USDT --ledger files --sign-off finance,risk

Addresses with keys and passwords end up in the shell's history when they
are given as flags; at a terminal they are asked for.
"""
_NEEDED = {
    "entity": "--entity NAME",
    "schedule": '--schedule "0 16 17 * *"',
    "chain": "--chain NAME=KIND:ADDRESS",
    "ledger": "--ledger postgres|mysql|files",
    "sign_off": "--sign-off PERSON,PERSON or --no-sign-off",
}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to those of `assay`; return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "init",
        help="make the folder of a deployment: configuration, registry, secrets, and what to do next",
        description="Make the folder of a deployment. At a terminal, asks for what no flag says.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="one that does not exist yet, or an empty one")
    parser.add_argument("--entity", help="name of the reporting entity, as it is published")
    parser.add_argument("--series", help="name of its line of publications; made of --entity by default")
    parser.add_argument("--schedule", metavar="CRON", help='when snapshots are taken, in UTC: "0 16 17 * *"')
    parser.add_argument("--chain", action="append", default=[], metavar="NAME=KIND:ADDRESS", help="a server of a chain; repeat it")
    parser.add_argument(
        "--chain-id",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="a private network in the place of this EVM chain: ethereum=31337",
    )
    parser.add_argument("--asset", action="append", default=[], metavar="SYMBOL", help="repeat it; the chains' native assets by default")
    parser.add_argument("--ledger", metavar="KIND", help="postgres, mysql or files")
    parser.add_argument(
        "--ledger-at", default="", metavar="PLACE", help="address of its database; of files the folder of drops, or s3://bucket/prefix"
    )
    parser.add_argument("--ledger-schema", default="", metavar="NAME", help="schema (of MySQL, the database) that holds the views")
    parser.add_argument("--ledger-storage", default="", metavar="ADDRESS", help="of drops in S3: https://ACCESS_KEY:SECRET_KEY@host")
    signing = parser.add_mutually_exclusive_group()
    signing.add_argument("--sign-off", metavar="PERSON,PERSON", help="two user names of Airflow that approve before anything is published")
    signing.add_argument("--no-sign-off", action="store_true", help="nobody approves, which is published")
    parser.add_argument("--port", default="8080", help="of Airflow on this machine (8080)")
    parser.set_defaults(run=run)
    return parser


def run(given: argparse.Namespace, console: Console) -> int:
    """Write the folder that the flags and answers describe; return the exit code.

    Raises:
        ConfigError: An answer is missing and nobody can be asked, one does not hold, or the folder cannot be made.
    """
    from assay.starting import deployment
    from assay.starting.questions import Questions

    deployment.check_place(given.folder.absolute())
    asking = Questions(console) if sys.stdin.isatty() and sys.stdout.isatty() else None
    if asking is None:
        _check_complete(given)
    plan = _plan(given, asking)
    folder = deployment.write(plan, given.folder)
    console.print(f"wrote {folder}", soft_wrap=True, markup=False)
    console.print(f"Next: cd {given.folder}, and follow README.md there, which begins with your wallets.", soft_wrap=True, markup=False)
    return 0


def _check_complete(given: argparse.Namespace) -> None:
    missing = [flag for name, flag in _NEEDED.items() if not getattr(given, name) and not (name == "sign_off" and given.no_sign_off)]
    if given.ledger in {"postgres", "mysql"} and not given.ledger_at:
        missing.append("--ledger-at ADDRESS")
    if missing:
        raise ConfigError(
            f"nobody can be asked without a terminal, and these are missing: {'; '.join(missing)}",
            subject="assay init",
            next_step="give them, see `assay init --help`",
        )


def _plan(given: argparse.Namespace, asking: Questions | None) -> Plan:
    from assay.config_chains import read_catalogue
    from assay.starting import plan

    known_assets, known_chains = read_catalogue()
    # What was given is held to the rules before anything is asked.
    early = {
        "entity": plan.entity(given.entity) if given.entity is not None else None,
        "schedule": plan.schedule(given.schedule) if given.schedule is not None else None,
        "chains": plan.chain_sources(given.chain, known_chains, given.chain_id) if given.chain or given.chain_id else None,
        "ledger": _given_ledger(given),
        "approvers": plan.approvers(given.sign_off) if given.sign_off is not None else () if given.no_sign_off else None,
    }
    series = plan.series(given.series) if given.series is not None else None
    port = plan.port(given.port)
    answers = _asked(early, asking, known_chains)
    series = series or _series(answers["entity"], asking)
    assets = _assets(given, answers["chains"], known_assets, asking)
    return plan.Plan(**answers, series=series, assets=assets, known=known_assets, port=port)


def _given_ledger(given: argparse.Namespace) -> Any:
    from assay.starting import plan

    if given.ledger is None:
        if given.ledger_at or given.ledger_schema or given.ledger_storage:
            raise ConfigError("its kind is not said", subject="--ledger-at", next_step=f"add {_NEEDED['ledger']}")
        return None
    return plan.ledger(given.ledger, given.ledger_at, schema=given.ledger_schema, storage=given.ledger_storage)


def _asked(early: dict[str, Any], asking: Questions | None, known: Mapping[str, Chain]) -> dict[str, Any]:
    """Fill in what no flag said."""
    from assay.starting import plan

    if asking is None:
        return early
    questions = {
        "entity": lambda: asking.ask("Name of the reporting entity", plan.entity),
        "schedule": lambda: asking.ask("When snapshots are taken: cron in UTC", plan.schedule, "0 16 17 * *"),
        "chains": lambda: asking.chains(known),
        "ledger": asking.ledger,
        "approvers": asking.approvers,
    }
    return {name: value if value is not None else questions[name]() for name, value in early.items()}


def _series(entity: str, asking: Questions | None) -> str:
    from assay.starting import plan

    derived = plan.series_of(entity)
    if asking is not None:
        return asking.ask("Name of the folder of publications", plan.series, derived)
    if not derived:
        raise ConfigError(
            f"no folder name can be made of the entity {entity[:40]!r}", subject="--series", next_step="name one like example-custodian"
        )
    return plan.series(derived)


def _assets(given: argparse.Namespace, chains: Any, known: Mapping[str, Asset], asking: Questions | None) -> dict[str, int]:
    from assay.starting import plan

    if given.asset or asking is None:
        return plan.asset_decimals(given.asset, chains, known)
    native = ",".join(dict.fromkeys(chain.facts.asset for chain in chains))
    readable = ", ".join(dict.fromkeys(symbol for chain in chains for symbol in chain.symbols))
    return asking.ask(f"Assets to report (there: {readable})", lambda text: plan.asset_decimals(_symbols(text), chains, known), native)


def _symbols(text: str) -> list[str]:
    return [symbol.strip() for symbol in text.split(",") if symbol.strip()]
