"""The archived answers that transactions of movements rest on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from assay_verify.ownership.interface import NotVerifiedError

Line = tuple[str, Any, Any]
"""Method, parameters and result of an exchange with a source."""


class Answers:
    """What one source answered.

    Args:
        lines: Its exchanges; others than those that are asked for do no harm.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines: dict[str, list[tuple[Any, Any]]] = {}
        self._by_params: dict[tuple[str, str], Any] = {}
        for method, params, result in lines:
            self._lines.setdefault(method, []).append((params, result))
            self._by_params[method, _text(params)] = result

    def of(self, method: str, params: list[Any]) -> Any:
        """Return what was answered to a question.

        Raises:
            NotVerifiedError: That is not there.
        """
        key = (method, _text(params))
        if key not in self._by_params:
            raise NotVerifiedError(f"the answer to {method} {str(params)[:100]} is not in the evidence")
        return self._by_params[key]

    def all(self, method: str) -> Iterator[tuple[Any, Any]]:
        """Yield parameters and results of all answers to a method."""
        yield from self._lines.get(method, ())


def _text(params: Any) -> str:
    # Those of a hostile archive may be anything that JSON can be.
    return json.dumps(params, default=str)
