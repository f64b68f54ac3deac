"""Settings: where each value of the configuration comes from, and all that is wrong with it.

A section is a table of `runtime.toml`, the environment variables that stand for its keys, and the
struct that they fill. Arguments are over the environment over the file over defaults.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec

from remotemedia.core.errors import ConfigError, near
from remotemedia.runtime.toml_file import key_places, parse_toml, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["Gathered", "Section", "Setting", "SettingsFile"]

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
#: A variable that is so much like one of a section's was meant to be it.
_ALIKE = 0.8


class Setting(msgspec.Struct, frozen=True):
    """A value that is in effect.

    Attributes:
        key: Its name in `runtime.toml`, dotted.
        value: The value.
        source: Where it comes from.
        place: The line of the file (`runtime.toml:3`), or the name of the variable; else empty.
    """

    key: str
    value: Any
    source: Literal["default", "file", "environment", "argument"]
    place: str = ""


@dataclass(frozen=True)
class SettingsFile:
    """A `runtime.toml`.

    Attributes:
        path: Where it lies; paths in it are relative to that.
        table: What it holds.
        places: The line of each key.
    """

    path: Path
    table: dict[str, Any]
    places: dict[tuple[str, ...], str]

    @classmethod
    def find(cls, path: Path | None) -> SettingsFile | None:
        """Read a file; by default the one in the working directory, if there is one.

        Raises:
            ConfigError: It can't be read, or is not TOML.
        """
        default = Path("runtime.toml")
        if path is None and not default.is_file():
            return None
        path = path or default
        text = read_text(path)
        return cls(path, parse_toml(path, text), key_places(str(path), text.splitlines()))

    def place(self, *key: str) -> str:
        """Return the line of a key, or of the table that it is in."""
        while key not in self.places:
            key = key[:-1]
        return self.places[key]

    def strangers(self, tables: Iterable[str]) -> list[ConfigError]:
        """Return a mistake for each table that nobody reads."""
        return [
            ConfigError(self.place(key), key, f"unknown; {near(key, tables)}")
            for key in self.table
            if key not in tables
        ]


@dataclass
class Gathered(Generic[_Struct]):
    """A section's settings, as they are in effect.

    Attributes:
        settings: By field of the struct.
        problems: All that is wrong; what is wrong has no effect.
    """

    struct: type[_Struct]
    settings: dict[str, Setting]
    problems: list[ConfigError] = field(default_factory=list)

    def built(self, problems: Iterable[ConfigError] = ()) -> _Struct:
        """Return the struct.

        Args:
            problems: What else is wrong.

        Raises:
            ConfigError: With everything that is wrong.
        """
        found = [*problems, *self.problems]
        if found:
            raise ConfigError.of(found)
        return self.struct(**{name: setting.value for name, setting in self.settings.items()})


@dataclass(frozen=True)
class Section(Generic[_Struct]):
    """A section of the configuration.

    Attributes:
        table: Its table in the file.
        struct: What holds it.
        prefix: How the names of its variables begin; the rest is the field, in capitals.
        check: Takes a field, a value, and whether it has its type already (a variable's text has
            not). Returns the value as the field has it, or raises ValueError with what is wrong.
        keys: The keys of fields that have other names in the file, dotted.
        paths: Fields that hold paths.
        lists: Fields that hold several values.
        separator: What stands between the entries of a list in a variable.
        owns_prefix: Every variable with its prefix has to be one of its own.
        others: Prefixes of other sections, where its own is the beginning of theirs.
    """

    table: str
    struct: type[_Struct]
    prefix: str
    check: Callable[[str, Any, bool], Any]
    keys: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    separator: str = os.pathsep
    owns_prefix: bool = False
    others: tuple[str, ...] = ()

    def gather(
        self,
        file: SettingsFile | None,
        environment: Mapping[str, str],
        arguments: Mapping[str, Any],
    ) -> Gathered[_Struct]:
        """Find all settings, and all mistakes."""
        found = Gathered(self.struct, self._defaults())
        if file is not None:
            self._read_file(found, file)
        self._read_environment(found, environment)
        for name, value in arguments.items():
            if name not in self.struct.__struct_fields__:
                hint = near(name, self.struct.__struct_fields__)
                found.problems.append(ConfigError("argument", name, f"unknown; {hint}"))
                continue
            self._take(found, name, value, "argument", "", ("argument", name))
        return found

    def recheck(self, made: _Struct) -> None:
        """Check a struct that was made by hand.

        Raises:
            ConfigError: With everything that is wrong.
        """
        found = Gathered(self.struct, self._defaults())
        for name in self.struct.__struct_fields__:
            called = (self.struct.__name__, name)
            self._take(found, name, getattr(made, name), "argument", "", called)
        if found.problems:
            raise ConfigError.of(found.problems)

    def _key(self, name: str) -> str:
        return f"{self.table}.{self.keys.get(name, name)}"

    def _defaults(self) -> dict[str, Setting]:
        return {
            one.name: Setting(
                self._key(one.name),
                one.default if one.default is not msgspec.NODEFAULT else one.default_factory(),
                "default",
            )
            for one in msgspec.structs.fields(self.struct)
        }

    def _take(
        self,
        found: Gathered[_Struct],
        name: str,
        value: Any,  # noqa: ANN401
        source: Literal["file", "environment", "argument"],
        place: str,
        called: tuple[str, str],
    ) -> None:
        try:
            value = self.check(name, value, source != "environment")
        except (ValueError, msgspec.ValidationError) as error:
            found.problems.append(ConfigError(*called, str(error)))
        else:
            found.settings[name] = Setting(self._key(name), value, source, place)

    # ---- the file

    def _read_file(self, found: Gathered[_Struct], file: SettingsFile) -> None:
        fields = {self._key(name): name for name in self.struct.__struct_fields__}
        table = file.table.get(self.table, {})
        for key, value in self._leaves((self.table,), table, {*fields}):
            dotted = ".".join(key)
            place = file.place(*key)
            name = fields.get(dotted)
            if name is None:
                problem = self._stranger(key, {*fields})
                found.problems.append(ConfigError(place, dotted, problem))
                continue
            if name in self.paths:
                value = _relative(value, file.path.parent)  # noqa: PLW2901
            self._take(found, name, value, "file", place, (place, dotted))

    def _leaves(
        self,
        path: tuple[str, ...],
        value: Any,  # noqa: ANN401
        known: set[str],
    ) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Yield what is in a table and in the tables of it; what should be one is yielded too."""
        dotted = ".".join(path)
        is_table = any(key.startswith(f"{dotted}.") for key in known)
        if is_table and isinstance(value, dict):
            for key, inner in value.items():
                yield from self._leaves((*path, key), inner, known)
        else:
            yield path, value

    @staticmethod
    def _stranger(key: tuple[str, ...], known: set[str]) -> str:
        dotted = ".".join(key)
        if any(other.startswith(f"{dotted}.") for other in known):
            return f"must be a table: [{dotted}]"
        table = ".".join(key[:-1])
        siblings = {
            other.removeprefix(f"{table}.").partition(".")[0]
            for other in known
            if other.startswith(f"{table}.")
        }
        return f"unknown; {near(key[-1], siblings)}"

    # ---- the environment

    def _read_environment(self, found: Gathered[_Struct], environment: Mapping[str, str]) -> None:
        names = {name.upper(): name for name in self.struct.__struct_fields__}
        for variable in sorted(environment):
            rest = variable.removeprefix(self.prefix)
            if rest == variable or variable.startswith(self.others):
                continue
            where = f"environment variable {variable}"
            if rest in names:
                name = names[rest]
                value = self._parsed(name, environment[variable])
                self._take(found, name, value, "environment", variable, (where, name))
            else:
                close = get_close_matches(rest, names, 1, _ALIKE)
                if close:
                    hint = f"did you mean {self.prefix + close[0]!r}?"
                elif self.owns_prefix:
                    hint = near("", [self.prefix + name for name in names])
                else:
                    continue  # somebody else's
                found.problems.append(ConfigError(where, "", f"unknown; {hint}"))

    def _parsed(self, name: str, text: str) -> Any:  # noqa: ANN401
        if text.lower() in ("none", "null"):
            return None
        if name in self.lists:
            return [part.strip() for part in text.split(self.separator) if part.strip()]
        return text


def _relative(value: Any, directory: Path) -> Any:  # noqa: ANN401
    """Return paths as they are seen from the file; what is no path is found out later."""
    if isinstance(value, str):
        return directory / value
    if isinstance(value, list):
        return [directory / entry if isinstance(entry, str) else entry for entry in value]
    return value
