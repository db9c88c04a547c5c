"""`assay` at a terminal, for the people who operate it.

Commands: `init`, `up`, `doctor`, `attest`, `status`, `show`, `verify`, `replay`, `proof`, `ledger control`, `registry check|show|slot|challenge|import`, `pools`.
Exit code 0 only if what was asked for held; an error is one message that
names the thing and the next step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from assay import __version__
from assay.command_help import complete
from assay.config import Settings
from assay.environment import load_environment
from assay.errors import AssayError, ConfigError
from assay.lake import format_as_of
from assay.starting import command, ledger_command
from assay.terminal_table import Column, open_console, print_table

_HANGING: dict[str, Any] = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
_REPLAYED = {
    (True, True): "the same, byte for byte",
    (True, False): "the same rows; the file's bytes differ, as another version of the libraries writes it",
    (False, False): "[bold red]other rows[/]",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    console = open_console()
    # Whatever started this program may have Ctrl-C ignored, and SIGTERM must end what was started.
    signal.signal(signal.SIGTERM, _stop)
    try:
        load_environment(given.config)
        return int(given.run(given, console))
    except AssayError as error:
        open_console(stderr=True).print(f"assay: {error}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assay",
        description="On-chain reserve attestation. Exit code 0 only if what was asked for held, 1 if it did not, 2 for a wrong command line.",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration; by default the one that ASSAY_CONFIG names, else ./assay.toml, else the one in AIRFLOW_HOME. "
        "Variables in the file .env beside it are taken over, except those that are set already",
    )
    parser.add_argument("--version", action="version", version=f"assay {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command.add_parser(commands)
    _add_runs(commands)
    ledger_command.add_parser(commands)
    _add_publications(commands)
    _add_registry(commands)
    commands.add_parser("pools", help="print the sources' pools for `airflow pools import`").set_defaults(run=_pools)
    complete(parser)
    return parser


def _add_runs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = commands.add_parser("up", help="start Airflow with all its components for this configuration, until Ctrl-C")
    up.add_argument("--port", type=int, help="of its UI and API on 127.0.0.1; by default that of ASSAY_AIRFLOW_URL, else 8080")
    up.add_argument(
        "--unpause", action="store_true", help="switch the DAGs on: runs then also start by themselves at the times of the schedule"
    )
    up.set_defaults(run=_up)

    doctor = commands.add_parser("doctor", help="look at everything that a run needs, before one is started; changes nothing")
    doctor.add_argument("--as-of", metavar="MOMENT", help="the moment that would be attested; by default the last time of the schedule")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.add_argument("--url", help="Airflow's API server; by default that of ASSAY_AIRFLOW_URL, else http://127.0.0.1:8080")
    doctor.set_defaults(run=_doctor)

    attest = commands.add_parser("attest", help="run the snapshots of a moment through Airflow and wait for the publication")
    attest.add_argument(
        "--as-of",
        required=True,
        action="append",
        metavar="MOMENT",
        help="the attested moment in UTC: 2023-02-17T16:00:00Z; repeat it for several, the oldest first",
    )
    attest.add_argument("--correction", metavar="WHY", help="why an already published moment is published again")
    attest.add_argument("--unpause", action="store_true", help="switch the DAGs on where they are paused")
    attest.add_argument("--no-watch", action="store_true", help="start the snapshots of one moment and return, without waiting for them")
    attest.add_argument("--url", help="Airflow's API server; by default that of ASSAY_AIRFLOW_URL, else http://127.0.0.1:8080")
    attest.set_defaults(run=_attest)

    status = commands.add_parser("status", help="list what was published, what is under way, and what failed last")
    status.add_argument("--url", help="Airflow's API server; by default that of ASSAY_AIRFLOW_URL, else http://127.0.0.1:8080")
    status.set_defaults(run=_status)


def _add_publications(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = commands.add_parser("show", help="print the ratio and delta tables of a publication")
    show.add_argument("folder", nargs="?", type=Path, metavar="REPORT", help="folder of a publication; the newest by default")
    show.set_defaults(run=_show)

    verify = commands.add_parser("verify", help="run the independent verifier over a publication")
    verify.add_argument("folder", nargs="?", type=Path, metavar="REPORT", help="folder of a publication; the newest by default")
    verify.set_defaults(run=_verify)

    replay = commands.add_parser("replay", help="compute a publication again from its evidence, without any node")
    replay.add_argument("folder", nargs="?", type=Path, metavar="REPORT", help="folder of a publication; the newest by default")
    replay.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the computed tables in this new folder")
    replay.set_defaults(run=_replay)

    proof = commands.add_parser("proof", help="cut the proof that a user's balance is in a publication's total")
    proof.add_argument("folder", nargs="?", type=Path, metavar="REPORT", help="folder of a publication; the newest by default")
    whose = proof.add_mutually_exclusive_group(required=True)
    whose.add_argument("--user", metavar="ID", help="the user's id, as the ledger knows it")
    whose.add_argument(
        "--users", type=Path, metavar="FILE", help="a CSV or Parquet file with the column user_id: all of them, into --output"
    )
    proof.add_argument("--output", type=Path, metavar="PATH", help="a new file, or a folder for --users; the terminal by default")
    proof.set_defaults(run=_proof)


def _add_registry(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    registry = commands.add_parser("registry", help="look after the wallet registry").add_subparsers(required=True, metavar="COMMAND")
    registry.add_parser(
        "check", help="check the configuration, chains, every wallet and the price files, without asking a node, and say what was looked at"
    ).set_defaults(run=_check_registry)

    facts = registry.add_parser("show", help="print the facts of assets and chains that are in force, and where each comes from")
    facts.add_argument("chain", nargs="?", metavar="CHAIN", help="one chain alone; any that the catalogue knows")
    facts.set_defaults(run=_show_registry)

    slot = registry.add_parser("slot", help="find where an EVM token's contract keeps its balances")
    slot.add_argument("--chain", required=True, metavar="NAME", help="name of the chain in chains.toml")
    slot.add_argument("--token", required=True, metavar="SYMBOL", help="symbol of the token's asset")
    slot.add_argument("--holder", action="append", required=True, metavar="ADDRESS", help="one that holds some; name two")
    slot.set_defaults(run=_slot)
    challenge = registry.add_parser("challenge", help="write, for every wallet, the text that its keeper signs for a report")
    challenge.add_argument(
        "--as-of", required=True, metavar="MOMENT", help="the moment that will be attested, in UTC: 2023-02-17T16:00:00Z"
    )
    challenge.add_argument(
        "--block-at", metavar="MOMENT", help="name the last final block at or before this; a day before --as-of by default"
    )
    challenge.add_argument(
        "--movement",
        action="append",
        default=[],
        metavar="CHAIN:ADDRESS",
        help="this wallet cannot sign: announce an amount that it is to send to itself; repeat it",
    )
    challenge.add_argument("folder", type=Path, metavar="FOLDER", help="receives one CSV a chain")
    challenge.set_defaults(run=_challenge)
    take = registry.add_parser("import", help="take signatures back: check each row, and keep the good ones for the report")
    take.add_argument("--as-of", required=True, metavar="MOMENT", help="the moment that will be attested, in UTC: 2023-02-17T16:00:00Z")
    take.add_argument("file", type=Path, metavar="FILE", help="a CSV of `assay registry challenge` with its signatures filled in")
    take.set_defaults(run=_import)


def _up(given: argparse.Namespace, console: Console) -> int:
    from assay.orchestration.up import up

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, _stop)
    try:
        up(Settings.load(), console, port=given.port, unpause=given.unpause)
    except KeyboardInterrupt:
        console.print("stopped; everything that was started has been ended")
    return 0


def _doctor(given: argparse.Namespace, console: Console) -> int:
    from assay.connections import secret_of, url_of
    from assay.doctor.visit import doctor
    from assay.lake import parse_as_of

    as_of = parse_as_of(given.as_of) if given.as_of else None
    return doctor(Settings.load(), console, as_of=as_of, url=given.url, as_json=given.json, connect=url_of, secret_of=secret_of)


def _attest(given: argparse.Namespace, console: Console) -> int:
    from assay.airflow_api import AirflowApi
    from assay.attest import attest, start
    from assay.lake import parse_as_of
    from assay.orchestration.preflight import check_airflow, check_moments
    from assay.terminal import newest, show

    settings = Settings.load()
    moments = [format_as_of(parse_as_of(text)) for text in given.as_of]
    check_moments(settings, moments, given.correction)
    with AirflowApi.from_environment(given.url) as api:
        check_airflow(api, settings=settings, unpause=given.unpause)
        if given.no_watch:
            start(api, settings, moments, console, correction=given.correction)
            return 0
        attest(api, settings, moments, console, correction=given.correction)
    for moment in moments:
        show(newest(settings, parse_as_of(moment)), console)
    return 0


def _status(given: argparse.Namespace, console: Console) -> int:
    from assay.airflow_api import AirflowApi
    from assay.orchestration.status import status

    with AirflowApi.from_environment(given.url) as api:
        status(Settings.load(), api, console)
    return 0


def _show(given: argparse.Namespace, console: Console) -> int:
    from assay.terminal import newest, show

    show(given.folder or newest(Settings.load()), console)
    return 0


def _verify(given: argparse.Namespace, _console: Console) -> int:
    from assay.terminal import newest, verify

    return verify(given.folder or newest(Settings.load()))


def _replay(given: argparse.Namespace, console: Console) -> int:
    from assay.replay import replay
    from assay.terminal import newest

    settings = Settings.load()
    folder = given.folder or newest(settings)
    if given.keep and given.keep.exists():
        raise ConfigError("it exists already", subject=str(given.keep), next_step="name a folder that does not exist yet")
    with tempfile.TemporaryDirectory() as temporary, console.status(f"computing {folder} again"):
        found = replay(settings, folder, Path(temporary))
        if given.keep:
            shutil.copytree(found[0].path.parent, given.keep)
    rows = [(item.table, f"{item.rows:,}", _REPLAYED[item.same_rows, item.same_bytes]) for item in found]
    columns = [Column(name="table"), Column(name="rows", right=True), Column(name="result")]
    print_table(console, f"{folder}, computed again from its evidence", columns, rows)
    return 0 if all(item.same_rows for item in found) else 1


def _proof(given: argparse.Namespace, console: Console) -> int:
    from assay.commitments.pipeline import export_proofs, prover_of
    from assay.connections import secret_of
    from assay.terminal import newest

    settings = Settings.load()
    folder = given.folder or newest(settings)
    if given.users:
        if not given.output:
            raise ConfigError("it needs a folder for the proofs", subject="--users", next_step="name one with --output")
        done = export_proofs(settings, folder, given.users, given.output, secret_of=secret_of)
        console.print(f"{done.proofs:,} proofs in {given.output}, a line each; {done.unknown:,} users have no balance in this report")
        return 0
    text = json.dumps(prover_of(settings, folder, secret_of=secret_of).prove(given.user), indent=1)
    if not given.output:
        sys.stdout.write(text + "\n")
        return 0
    try:
        # It shows somebody's balances: for its owner's eyes.
        handle = os.open(given.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        problem = error.strerror or "it cannot be written"
        raise ConfigError(problem, subject=str(given.output), next_step="name a file that does not exist yet") from error
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
    console.print(
        f"wrote {given.output}; its owner checks it with `assay-verify inclusion`, or on the page of the verifier", soft_wrap=True
    )
    return 0


def _check_registry(_given: argparse.Namespace, console: Console) -> int:
    from assay.registry import check_configuration, check_registry
    from assay.registry_facts import superfluous
    from assay.registry_report import lines

    settings = Settings.load()
    check_configuration(settings)
    wallets = check_registry(settings)
    for subject, words in (*lines(settings, wallets), *(("registry", sentence) for sentence in superfluous(settings.registry))):
        console.print(textwrap.fill(f"{subject}: {words}", console.width, **_HANGING), markup=False, soft_wrap=True)
    console.print("Nothing is wrong with it.")
    return 0


def _show_registry(given: argparse.Namespace, _console: Console) -> int:
    from assay.registry_facts import describe

    sys.stdout.write("\n".join(describe(Settings.load(), given.chain)) + "\n")
    return 0


def _slot(given: argparse.Namespace, console: Console) -> int:
    from assay.chains.evm.slots import describe, search
    from assay.connections import url_of

    height, slots = search(Settings.load(), given.chain, given.token, given.holder, connect=url_of)
    console.print("\n".join(describe(given.token, height, slots, len(given.holder))), markup=False)
    return 0 if len(slots) == 1 else 1


def _challenge(given: argparse.Namespace, console: Console) -> int:
    from assay.connections import address_of
    from assay.lake import parse_as_of
    from assay.ownership.challenge import write_challenges

    at = parse_as_of(given.block_at) if given.block_at else None
    moving = [(chain, address) for chain, _, address in (wallet.partition(":") for wallet in given.movement)]
    for path in write_challenges(Settings.load(), parse_as_of(given.as_of), given.folder, connect=address_of, at=at, moving=moving):
        console.print(f"wrote {path}", soft_wrap=True)
    return 0


def _import(given: argparse.Namespace, console: Console) -> int:
    from assay.lake import parse_as_of
    from assay.ownership.store import import_file

    results = import_file(Settings.load(), parse_as_of(given.as_of), given.file)
    for item in results:
        mark = "ok" if item.good else "[bold red]refused[/]"
        console.print(f"line {item.line} {item.chain} {item.address}", mark, escape(item.words), soft_wrap=True)
    good = sum(item.good for item in results)
    console.print(f"{good} of {len(results)} kept")
    return 0 if good == len(results) else 1


def _pools(_given: argparse.Namespace, _console: Console) -> int:
    sources = [source for chain in Settings.load().chains.values() for source in chain.sources]
    pools = {source.name: {"slots": source.parallel_tasks, "description": "", "include_deferred": False} for source in sources}
    sys.stdout.write(json.dumps(pools, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
