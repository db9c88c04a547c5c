"""A TOML file read strictly: every key known, every value of its type, every complaint naming the file and the key."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from assay.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class TomlTable:
    """A TOML table that names itself in errors."""

    subject: str
    values: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> tuple[TomlTable, str]:
        """Read a file; return its table and the SHA-256 of its bytes."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"it cannot be read ({error.strerror})", subject=str(path), next_step="create it, or point ASSAY_CONFIG at the right one"
            ) from error
        try:
            return cls(str(path), tomllib.loads(content.decode())), hashlib.sha256(content).hexdigest()
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"it is not TOML: {error}", subject=str(path), next_step="correct it") from error

    def fail(self, problem: str) -> ConfigError:
        """Return the error that names this table."""
        return ConfigError(problem, subject=self.subject, next_step="correct the file")

    def _typed(self, key: str, kind: type, default: Any) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise self.fail(f"the key {key!r} is missing")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.fail(f"{key} = {value!r} is not of type {kind.__name__}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default, the key must be there."""
        return str(self._typed(key, str, default))

    def integer(self, key: str, default: int | None = None) -> int:
        """Return an integer; without a default, the key must be there."""
        return int(self._typed(key, int, default))

    def table(self, key: str) -> TomlTable:
        """Return the table under a key; an empty one where there is none."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(f"{key} is not a table")
        return TomlTable(f"{self.subject} [{key}]", value)

    def tables(self, key: str) -> list[TomlTable]:
        """Return the list of tables under a key; an empty one where there is none."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(f"{key} is not a list of tables")
        return [TomlTable(f"{self.subject} [[{key}]] {number}", item) for number, item in enumerate(value, 1)]

    def refuse_unknown(self, known: set[str]) -> None:
        """Stop at a key that nobody reads: it is a typing error, and its default would be taken in silence."""
        if unknown := sorted(set(self.values) - known):
            raise self.fail(f"unknown key {unknown[0]!r}")

    def build(self, kind: type[T], **given: Any) -> T:
        """Construct a dataclass from the table; the names and types of its fields are the schema."""
        self.refuse_unknown({item.name for item in fields(kind)} - set(given))  # type: ignore[arg-type]
        values = dict(self.values)
        checks: dict[str, type] = {"str": str, "int": int, "bool": bool}
        for item in fields(kind):  # type: ignore[arg-type]
            if item.name in values and (expected := checks.get(str(item.type))):
                self._typed(item.name, expected, None)
            elif item.name in values and str(item.type).startswith("tuple[str"):
                if not isinstance(values[item.name], list) or not all(isinstance(text, str) for text in values[item.name]):
                    raise self.fail(f"{item.name} is not a list of texts")
                values[item.name] = tuple(values[item.name])
        try:
            return kind(**values, **given)
        except TypeError as error:
            raise self.fail(str(error).partition("() ")[2] or str(error)) from error
