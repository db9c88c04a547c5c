"""A TOML file read strictly: every key known, every value of its type, every complaint naming the file and the key."""

from __future__ import annotations

import codecs
import hashlib
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from assay.errors import ConfigError, did_you_mean

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
            return cls(str(path), tomllib.loads(content.decode("utf-8-sig"))), hashlib.sha256(content).hexdigest()
        except UnicodeDecodeError as error:
            wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            line = content.count(b"\n", 0, error.start) + 1
            problem = "it was saved as UTF-16" if wide else f"line {line} is not UTF-8"
            raise ConfigError(problem, subject=str(path), next_step="save it as UTF-8 in the editor") from error
        except tomllib.TOMLDecodeError as error:
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

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; an empty one where there is none."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.fail(f"{key} is not a list of texts")
        return tuple(value)

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list of integers; an empty one where there is none."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(number, int) and not isinstance(number, bool) for number in value):
            raise self.fail(f"{key} is not a list of integers")
        return tuple(value)

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

    def without(self, *keys: str) -> TomlTable:
        """Return the table without some of its keys, which are read in another way."""
        return TomlTable(self.subject, {key: value for key, value in self.values.items() if key not in keys})

    def over(self, other: TomlTable, *keys: str) -> TomlTable:
        """Return this table with what it does not state itself taken from another, except some keys."""
        return TomlTable(self.subject, {**other.without(*keys).values, **self.values})

    def check_keys(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Stop at a key that nobody reads (a typing error, whose default would be taken in silence) and at missing ones.

        All are named at once: a key that is misspelt is both.

        Raises:
            ConfigError: A key is unknown or missing.
        """
        problems = []
        if unknown := sorted(set(self.values) - set(required) - set(optional)):
            known = [*required, *optional]
            problems.append(f"unknown {_named(unknown)}{did_you_mean(unknown[0], known) if len(unknown) == 1 else ''}")
        if missing := [key for key in required if key not in self.values]:
            problems.append(f"the {_named(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        if problems:
            raise self.fail("; ".join(problems))

    def build(self, kind: type[T], **given: Any) -> T:
        """Construct a dataclass from the table; the names and types of its fields are the schema."""
        items = [item for item in fields(kind) if item.name not in given]  # type: ignore[arg-type]
        required = [item.name for item in items if item.default is MISSING and item.default_factory is MISSING]
        self.check_keys(required, [item.name for item in items])
        values = dict(self.values)
        checks: dict[str, type] = {"str": str, "int": int, "bool": bool}
        for item in items:
            if item.name in values and (expected := checks.get(str(item.type))):
                self._typed(item.name, expected, None)
            elif item.name in values and str(item.type).startswith("tuple[str"):
                values[item.name] = self.texts(item.name)
            elif item.name in values and str(item.type).startswith("tuple[int"):
                values[item.name] = self.integers(item.name)
        return kind(**values, **given)


def _named(keys: Iterable[str]) -> str:
    quoted = [repr(key) for key in keys]
    return f"key {quoted[0]}" if len(quoted) == 1 else f"keys {', '.join(quoted[:-1])} and {quoted[-1]}"
