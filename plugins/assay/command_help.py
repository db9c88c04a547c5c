"""What `--help` of every command says beside its arguments: what it does, and its exit codes."""
# ruff: noqa: SLF001 - argparse has no other way from a parser to its commands.

from __future__ import annotations

import argparse
import textwrap

_WIDTH = 78
_CODES = {
    "": "0 what was asked for held; 1 it did not, or it could not be found out: one message says why; 2 the command line was wrong.",
    "assay up": "0 stopped by Ctrl-C, with everything ended; 1 it could not be started, or a component ended by itself; 2 the command line was wrong.",
    "assay doctor": "0 a run can work; 1 it could not: each line that failed says what to do; 2 the command line was wrong.",
    "assay show": "0 it was printed, also where an asset is not fully backed; 1 it is no publication; 2 the command line was wrong.",
    "assay verify": "0 everything held; 1 something does not hold, or it is no publication; 3 nothing failed, but something could not be checked.",
    "assay replay": "0 every table has the same rows; 1 one has others, or cannot be computed again; 2 the command line was wrong.",
    "assay registry slot": "0 exactly one slot was found; 1 none or several, or it could not be found out; 2 the command line was wrong.",
    "assay registry import": "0 every row was kept; 1 one was refused, and the good ones are kept; 2 the command line was wrong.",
}


def complete(parser: argparse.ArgumentParser) -> None:
    """Give each command that has none a description, which is what the list of commands says of it, and its exit codes."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        said = {str(choice.dest): choice.help or "" for choice in action._choices_actions}
        for name, command in action.choices.items():
            if command.description is None and said.get(name):
                command.description = f"{said[name][:1].upper()}{said[name][1:]}."
            complete(command)
            if not any(isinstance(item, argparse._SubParsersAction) for item in command._actions):
                # A command that lays its text out itself has it as it is.
                codes = textwrap.fill(f"exit codes: {_CODES.get(command.prog, _CODES[''])}", _WIDTH)
                command.epilog = f"{command.epilog.rstrip()}\n\n{codes}" if command.epilog else codes
