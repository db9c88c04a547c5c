"""Writes a deployment folder from a plan: all of it, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from assay.config import Settings
from assay.errors import AssayError, ConfigError
from assay.liabilities.files import DROPPED_FLOW_COLUMNS
from assay.liabilities.interface import BALANCE_COLUMNS
from assay.registry import COLUMNS as WALLET_COLUMNS
from assay.registry import check_chains
from assay.starting import environment_file
from assay.starting.plan import Plan

REFERENCE = "docs/configuration.md"
_PRICE_COLUMNS = ("asset", "price", "currency", "time")
_SECRET = 0o600


def write(plan: Plan, folder: Path) -> Path:
    """Write the folder and return it, absolute.

    Args:
        plan: What the deployment is to be.
        folder: One that does not exist, or an empty one.

    Raises:
        ConfigError: The folder is not empty or cannot be written, or what was planned contradicts itself; nothing is left behind then.
    """
    folder = folder.absolute()
    check_place(folder)
    known_passwords = environment_file.passwords(plan)
    variables = environment_file.variables(plan, folder, known_passwords)
    try:
        with _filling(folder) as aside:
            for path, content in _texts(plan).items():
                _write(aside / path, content, 0o666)
            _write(aside / ".env", environment_file.lines(variables), _SECRET)
            (aside / "airflow").mkdir(mode=0o700)
            _write(aside / "airflow" / "passwords.json", environment_file.passwords_file(known_passwords), _SECRET)
            _check(aside, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def check_place(folder: Path) -> None:
    """Make sure that a folder can be made there, before anybody is asked anything.

    Raises:
        ConfigError: Something stands there, or nothing can be written there.
    """
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise ConfigError(
                "it is there already and is no folder", subject=str(folder), next_step="name a folder that does not exist yet"
            )
        if folder.is_dir() and (there := sorted(path.name for path in folder.iterdir())):
            raise ConfigError(
                f"it is not empty ({', '.join(there[:3])}{', …' if len(there) > 3 else ''})",  # noqa: PLR2004 - as many as are named
                subject=str(folder),
                next_step="name a folder that does not exist yet, or an empty one; nothing is ever overwritten",
            )
        # The folder itself, or the nearest one above it.
        parent = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(
            f"nothing can be written in {parent}", subject=str(folder), next_step="name another folder, or have its rights changed"
        )


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"it cannot be written ({error.strerror})", subject=str(folder), next_step="name another folder, or have its rights changed"
    )


@contextmanager
def _filling(folder: Path) -> Iterator[Path]:
    """Give a place to write to; what stands there is in the folder when the block ends without an error, and gone otherwise."""
    exists = folder.exists()
    made = _make_parents(folder)
    outer = Path(tempfile.mkdtemp(prefix=".assay-init-", dir=folder if exists else folder.parent))
    # Inside of it, so that the folder has ordinary rights.
    aside = outer / folder.name
    moved: list[Path] = []
    try:
        aside.mkdir()
        yield aside
        if exists:
            # Whoever stands in the empty folder stays in it.
            for path in sorted(aside.iterdir()):
                moved.append(path.rename(folder / path.name))  # noqa: PERF401 - what was moved before a failure is to be known
        else:
            # Over a folder that somebody else filled meanwhile this fails.
            aside.rename(folder)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(outer, ignore_errors=True)
        for path in made:
            path.rmdir()
        raise
    shutil.rmtree(outer)


def _make_parents(folder: Path) -> list[Path]:
    """Make the folders above; return those that were not there, the innermost first."""
    missing = [path for path in folder.parents if not path.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # With its rights from the start: a moment in which others can read a secret is enough.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(content)


def _check(aside: Path, folder: Path) -> None:
    """Read the written configuration as every command will."""
    try:
        check_chains(Settings.load(aside / "assay.toml"))
    except AssayError as error:
        raise ConfigError(
            error.problem,
            subject=error.subject.replace(str(aside.resolve()), str(folder)),
            next_step="say it otherwise; nothing was written",
        ) from error


def _texts(plan: Plan) -> dict[str, str]:
    templates = Environment(
        loader=PackageLoader("assay.starting"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - TOML, SQL and Markdown: nothing of it is HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A basic string of TOML takes what JSON's takes.
    templates.filters["text"] = lambda value: json.dumps(value, ensure_ascii=False)
    values = {"plan": plan, "reference": REFERENCE, "private": [chain.facts.name for chain in plan.chains if chain.chain_id]}
    render = {name: templates.get_template(f"{name}.jinja").render for name in ("assay.toml", "assets.toml", "chains.toml", "readme.md")}
    texts = {
        "assay.toml": render["assay.toml"](values),
        "README.md": render["readme.md"](values),
        ".gitignore": templates.get_template("gitignore.jinja").render(values),
        "registry/assets.toml": render["assets.toml"](values),
        "registry/chains.toml": render["chains.toml"](values),
        "registry/wallets.csv": _row(WALLET_COLUMNS),
        "prices/primary.csv": _row(_PRICE_COLUMNS),
    }
    return texts | _ledger_texts(plan, templates, values)


def _ledger_texts(plan: Plan, templates: Environment, values: dict[str, object]) -> dict[str, str]:
    if plan.ledger.kind != "files":
        role = json.loads(plan.ledger.connection).get("login", "assay")
        quote = '"' if plan.ledger.kind == "postgres" else "`"
        names = {"schema": f"{quote}{plan.ledger.schema}{quote}", "role": f"{quote}{role.replace(quote, quote * 2)}{quote}"}
        return {"ledger/views.sql": templates.get_template(f"views_{plan.ledger.kind}.sql.jinja").render(values | names)}
    symbol = next(iter(plan.assets))
    moment, before = "2023-02-17T16:00:00Z", "2023-02-01T09:30:00Z"
    return {
        "ledger/README.md": templates.get_template("ledger_files.md.jinja").render(values),
        "ledger/example/balances/balances.csv": _row(BALANCE_COLUMNS)
        + _row(("alice", "spot", symbol, "1.25"))
        + _row(("bob", "spot", symbol, "0.5")),
        "ledger/example/flows/flows.csv": _row(DROPPED_FLOW_COLUMNS)
        + _row((before, "flow-1", "alice", "spot", symbol, "deposit", "0.25"))
        + _row((moment, "flow-2", "bob", "spot", symbol, "fee", "-0.001")),
    }


def _row(values: tuple[str, ...] | list[str]) -> str:
    return ",".join(values) + "\n"
