"""The command `assay-verify`.

What a command needs is loaded when it is called: processes that check signatures load this module too, and libraries that read Parquet would take
more memory in each of them than everything else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from assay_verify import __version__
from assay_verify.findings import Exit, UnusableInputError
from assay_verify.help_text import Paragraphs
from assay_verify.progress import Progress

_INTERRUPTED = 130

_EPILOG = """\
exit codes: 0 everything held; 1 something does not hold; 2 the input is no publication, or the command was wrong;
3 nothing failed, but something could not be checked. A check that you leave out yourself is named, and doesn't change the code."""

_BALANCES_EPILOG = """\
exit codes: 0 every balance is proven, or rests on an archived answer as stated (which proves nothing: see --all-proven); 1 something does
not hold, an own node says otherwise or cannot be read; 2 the input is no publication, or the command was wrong.

--rpc takes CHAIN=URL, once for each chain: http(s)://host:port of an Ethereum-like node or of Bitcoin Core, tcp://host:port or
ssl://host:port[/SHA-256 of the certificate] of an Electrum server. Addresses are never printed."""


_OWNERSHIP_EPILOG = """\
exit codes: 0 every statement verified; 1 a row failed, is empty or malformed, a wallet is listed twice, or totals are not the sums of their rows;
2 the file is no such list, or the command was wrong; 3 nothing failed, but something could not be checked; 130 stopped by Ctrl-C.

What was checked is kept while a run lasts, in $XDG_STATE_HOME/assay-verify (or ~/.local/state/assay-verify) under the file's SHA-256."""


_INCLUSION_EPILOG = """\
exit codes: 0 the proof holds; 1 it does not; 2 the file is no proof, or the command was wrong; 3 nothing failed, but no user id or no published
commitment was given to compare with. A check that you leave out yourself (--no-user, --no-commitment) is named, and doesn't change the code.

Formats, told apart by themselves: assay-inclusion-proof-v1; of other publishers a Merkle proof with self and path (first generation), a user file with
nodes (second generation, wants --tree), and a published tree of the BitMEX form (wants --nonce, or --account-nonce and --user). These are checked by
their own rules, and what those let through is printed."""

_TREE_EPILOG = """\
exit codes: 0 the whole tree holds; 1 it does not; 2 the folder has no tree, or the command was wrong; 130 stopped by Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(_COMMANDS[options.command](options))
    except (UnusableInputError, PermissionError) as error:
        sys.stderr.write(f"assay-verify: {error}\n")
        return Exit.UNUSABLE


def _publication(options: argparse.Namespace) -> int:
    from assay_verify import publication, terminal  # noqa: PLC0415

    verified = publication.verify(options.folder, log_path=options.log, without_log=options.no_log, without_previous=options.no_previous)
    sys.stdout.write((terminal.as_json(verified) if options.json else terminal.as_text(verified)) + "\n")
    return verified.findings.exit_code


def _ownership(options: argparse.Namespace) -> int:
    from assay_verify.ownership import verification  # noqa: PLC0415

    progress = Progress(wanted=not options.json)
    try:
        verified = verification.verify(
            options.path,
            processes=options.processes,
            resume=options.resume,
            state=options.state,
            test_networks=options.test_networks,
            progress=progress,
        )
    except KeyboardInterrupt:
        progress.clear()
        sys.stderr.write("assay-verify: stopped; go on with --resume\n")
        return _INTERRUPTED
    from assay_verify.ownership import terminal  # noqa: PLC0415

    if options.json:
        sys.stdout.writelines(terminal.as_json(verified))
    else:
        sys.stdout.write(terminal.as_text(verified))
    sys.stdout.flush()
    verified.close()
    return verified.findings.exit_code


def _balances(options: argparse.Namespace) -> int:
    from assay_verify import balances, balances_terminal, rereading  # noqa: PLC0415

    progress = Progress(wanted=not options.json)
    urls = _urls(options.rpc)
    required = [name for text in options.require_proofs for name in text.split(",") if name]
    verified = balances.verify(options.folder, required=required, all_proven=options.all_proven, progress=progress)
    if urls:
        rereading.reread(
            verified, urls, sample=None if options.all else options.sample or rereading.SAMPLE, seed=options.seed, progress=progress
        )
    sys.stdout.write((balances_terminal.as_json(verified) if options.json else balances_terminal.as_text(verified)) + "\n")
    return verified.findings.exit_code


def _inclusion(options: argparse.Namespace) -> int:
    from assay_verify.sum_tree import formats, terminal  # noqa: PLC0415
    from assay_verify.sum_tree.inclusion import Expected  # noqa: PLC0415

    expected = Expected(
        user_id=_user_id(options.user),
        without_user=options.no_user,
        commitment=options.commitment,
        publication=options.publication,
        without_commitment=options.no_commitment,
    )
    foreign = formats.Foreign(
        tree=options.tree, nonce=options.nonce or options.account_nonce, is_report_nonce=options.account_nonce is None
    )
    verified = formats.check_file(options.path, expected, foreign, Progress(wanted=not options.json))
    show = terminal.proof_as_json if options.json else terminal.proof_as_text
    sys.stdout.write(show(verified, options.path) + "\n")
    return verified.findings.exit_code


def _user_id(given: str | None) -> str | None:
    if given != "-":
        return given
    # Read like that, it stands in no history of the shell and in no list of processes.
    if sys.stdin.isatty():
        sys.stderr.write("User id: ")
        sys.stderr.flush()
    user_id = sys.stdin.readline().rstrip("\r\n")
    if not user_id:
        raise UnusableInputError("No user id came from the standard input", "Write it in one line, or give it with --user ID")
    return user_id


def _tree(options: argparse.Namespace) -> int:
    from assay_verify.sum_tree import terminal, tree  # noqa: PLC0415

    progress = Progress(wanted=not options.json)
    try:
        verified = tree.verify(options.folder, processes=options.processes, progress=progress)
    except KeyboardInterrupt:
        progress.clear()
        sys.stderr.write("assay-verify: stopped\n")
        return _INTERRUPTED
    sys.stdout.write((terminal.tree_as_json(verified) if options.json else terminal.tree_as_text(verified)) + "\n")
    return verified.findings.exit_code


def _urls(texts: Sequence[str]) -> dict[str, str]:
    urls: dict[str, str] = {}
    for text in texts:
        chain, _, url = text.partition("=")
        if not chain or not url or chain in urls:
            raise UnusableInputError("--rpc was given twice for a chain, or not as CHAIN=URL", "Write --rpc ethereum=http://127.0.0.1:8545")
        urls[chain] = url
    return urls


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assay-verify",
        description="Check what a custodian published about its reserves and liabilities.",
        epilog=_EPILOG,
        formatter_class=Paragraphs,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_publication(commands)
    _add_balances(commands)
    _add_ownership(commands)
    _add_inclusion(commands)
    _add_tree(commands)
    return parser


def _add_publication(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "publication",
        help="check one publication",
        description="Check one publication.",
        epilog=_EPILOG,
        formatter_class=Paragraphs,
    )
    one.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that holds manifest.json")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--log", type=Path, metavar="PATH", help="the series' log (default: log.jsonl beside FOLDER)")
    which.add_argument("--no-log", action="store_true", help="do without the log")
    one.add_argument("--no-previous", action="store_true", help="do without the publication before, if it is not beside FOLDER")
    one.add_argument("--json", action="store_true", help="print JSON, with every single failure")


def _add_balances(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "balances",
        help="check the wallet balances of one publication by their evidence",
        description="Check the wallet balances of one publication by their evidence, offline; and again through nodes of your own.",
        epilog=_BALANCES_EPILOG,
        formatter_class=Paragraphs,
    )
    one.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that holds manifest.json")
    one.add_argument("--all-proven", action="store_true", help="fail unless every balance is proven")
    one.add_argument(
        "--require-proofs", action="append", default=[], metavar="CHAIN[,CHAIN]", help="fail unless every balance of these is proven"
    )
    one.add_argument("--rpc", action="append", default=[], metavar="CHAIN=URL", help="read balances again through a node of yours")
    size = one.add_mutually_exclusive_group()
    size.add_argument("--sample", type=_positive, metavar="N", help="balances of a chain to read again (default: 25)")
    size.add_argument("--all", action="store_true", help="read all of them again")
    one.add_argument("--seed", type=int, metavar="N", help="draw the sample of an earlier run again")
    one.add_argument("--json", action="store_true", help="print JSON, with every single failure")


def _add_ownership(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "ownership",
        help="check the signatures of a list of addresses, or of a publication",
        description="Check that each address of a list, or of a publication, comes with a text signed with its key. Offline.",
        epilog=_OWNERSHIP_EPILOG,
        formatter_class=Paragraphs,
    )
    one.add_argument("path", type=Path, metavar="FILE_OR_FOLDER", help="a list (CSV), a table address_ownership.parquet, or a publication")
    one.add_argument("--resume", action="store_true", help="go on where an earlier run on the same, unaltered file was stopped")
    one.add_argument("--processes", type=_positive, metavar="N", help="how many check at once (default: one a core)")
    one.add_argument("--state", type=Path, metavar="FOLDER", help="where to keep what was checked while a run lasts")
    one.add_argument(
        "--test-networks", action="store_true", help="of a list: take Bitcoin addresses of test networks too, and name the network"
    )
    one.add_argument("--json", action="store_true", help="print JSON, with every row that did not verify")


def _add_inclusion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "inclusion",
        help="check a user's proof that the balance is in the published total",
        description="Check a user's proof that the balance is in the published total. Offline.",
        epilog=_INCLUSION_EPILOG,
        formatter_class=Paragraphs,
    )
    one.add_argument("path", type=Path, metavar="PROOF", help="the proof")
    user = one.add_mutually_exclusive_group()
    user.add_argument("--user", metavar="ID", help="the user whose proof it should be; - reads it from the standard input")
    user.add_argument("--no-user", action="store_true", help="do without checking whose proof it is")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--publication", type=Path, metavar="FOLDER", help="the publication whose totals it should be in")
    which.add_argument("--commitment", metavar="HEX", help="the published commitment; for other publishers' formats the hash of the root")
    which.add_argument("--no-commitment", action="store_true", help="do without comparing it with anything published")
    one.add_argument("--tree", type=Path, metavar="FILE", help="the whole tree that a user file of the second generation refers to")
    secret = one.add_mutually_exclusive_group()
    secret.add_argument("--nonce", metavar="HEX", help="your secret of one report (BitMEX form)")
    secret.add_argument("--account-nonce", metavar="HEX", help="the secret of your account (BitMEX form)")
    one.add_argument("--json", action="store_true", help="print JSON, with every single failure")


def _add_tree(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    one = commands.add_parser(
        "tree",
        help="check a whole published tree of liabilities",
        description="Check every leaf, node and sum of a published tree of liabilities, and what the publication says of them. Offline.",
        epilog=_TREE_EPILOG,
        formatter_class=Paragraphs,
    )
    one.add_argument("folder", type=Path, metavar="FOLDER", help="a publication, or its liability_tree")
    one.add_argument("--processes", type=_positive, metavar="N", help="how many check at once (default: one a core)")
    one.add_argument("--json", action="store_true", help="print JSON, with every single failure")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


_COMMANDS = {
    "balances": _balances,
    "inclusion": _inclusion,
    "ownership": _ownership,
    "publication": _publication,
    "tree": _tree,
}
