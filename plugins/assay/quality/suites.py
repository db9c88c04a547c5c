"""Expectation suites as they stand in `expectations/<dataset>.json`: Great Expectations' own JSON form.

Beyond that form each expectation says in `meta.name` how findings refer to it and in `meta.rule` what must hold, in a
sentence; the suite says in `meta.key` which columns tell a reader which row is meant.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from assay import resources
from assay.errors import QualityCrashError

EXPECTATIONS = resources.folder("expectations")
"""Where the project's suites stand."""

_SEVERITIES = {"critical", "warning"}


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What is expected of a dataset.

    Attributes:
        dataset: Its name.
        path: Of the suite.
        key: Columns that identify a row to a reader.
        expectations: In Great Expectations' form.
        parameters: Names of the values that its queries take from the relation `parameters`.
    """

    dataset: str
    path: Path
    key: tuple[str, ...]
    expectations: tuple[dict[str, Any], ...]
    parameters: frozenset[str]

    @classmethod
    def load(cls, dataset: str, folder: Path) -> Self:
        """Read a dataset's suite.

        Raises:
            QualityCrashError: There is none, or it lacks a severity, name or rule.
        """
        path = folder / f"{dataset}.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            expectations = tuple(document["expectations"])
            names = [item["meta"]["name"] for item in expectations]
            suite = cls(
                dataset=document["name"],
                path=path,
                key=tuple(document["meta"]["key"]),
                expectations=expectations,
                parameters=frozenset(name for item in expectations for name in _parameters(item)),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _malformed(path, f"{type(error).__name__}: {error}") from error
        if suite.dataset != dataset or not expectations or len(set(names)) != len(names):
            raise _malformed(path, "it must bear the file's name and hold expectations with different names")
        for item in expectations:
            if item.get("severity") not in _SEVERITIES or not item["meta"].get("rule"):
                raise _malformed(path, f"{item['meta']['name']} needs a severity (critical or warning) and a rule")
        return suite


def _parameters(expectation: dict[str, Any]) -> list[str]:
    return re.findall(r"\bparameters\.(\w+)", expectation["kwargs"].get("unexpected_rows_query", ""))


def _malformed(path: Path, problem: str) -> QualityCrashError:
    return QualityCrashError(f"it is not an expectation suite ({problem})", subject=str(path), next_step="correct the suite")
