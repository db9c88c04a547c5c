"""Files that ship with the program and are no Python modules of it: SQL, expectations, contracts, DAG files.

In a checkout they stand at its top, where people read and change them. A wheel carries its own copies inside the package (`pyproject.toml`),
so that an installed Assay needs no checkout beside it. Only the standard library is imported here: every parse of a DAG file loads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from assay.errors import ConfigError

Name = Literal["sql", "expectations", "contracts", "dags"]
"""What ships: `sql` (macros, staging, marts, checks, finance), `expectations` (suites), `contracts` (of the tables), `dags`."""

PLACES: dict[Name, str] = {"sql": "sql", "expectations": "expectations", "contracts": "data/contracts", "dags": "dags"}
"""Where each stands in a checkout."""

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "shipped"


def folder(name: Name) -> Path:
    """Return the folder of what ships under a name.

    Raises:
        ConfigError: It is in neither place, as after a copy of the package alone.
    """
    for place in (_SHIPPED / name, _PACKAGE.parent.parent / PLACES[name]):
        if place.is_dir():
            return place
    raise ConfigError(
        f"its folder {name!r} is missing",
        subject=f"the installation in {_PACKAGE}",
        next_step="install Assay again, from its wheel or a whole checkout",
    )
