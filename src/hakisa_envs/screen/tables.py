"""From TOML values to frozen dataclasses, by their type hints; every mistake is named with its place and a fix."""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from hakisa_envs.screen.conditions import Condition
from hakisa_envs.screen.errors import ProfileError
from hakisa_envs.screen.region import Region

T = TypeVar("T")
WRITTEN: dict[Any, str] = {
    str: "Put it in quotes.",
    bool: "It is true or false, without quotes.",
    int: "It is a whole number, without quotes and point.",
    float: "It is a number, without quotes.",
}


def nearest(name: str, known: Iterable[Any]) -> str:
    """``, did you mean 'x'?`` if something known is near, else nothing."""
    written = {str(choice).lower(): str(choice) for choice in known}
    near = difflib.get_close_matches(name.lower(), written, n=1)
    return f", did you mean {written[near[0]]!r}?" if near else ""


def _ended(sentence: str) -> str:
    """With a full stop, unless it ends already: it may quote another one."""
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


class TableBuilder:
    """Builds dataclasses from one TOML file.

    Args:
        path: The file, for messages; paths in it are relative to its folder.
        homes: The fields of all tables, and which tables have each.
    """

    def __init__(self, path: Path, homes: Mapping[str, Iterable[str]] | None = None) -> None:
        self.path = path
        self._homes = homes or {}

    def error(self, where: str, value: Any, rule: str, fix: str) -> ProfileError:
        """A mistake at ``where``."""
        shown = "" if value is None else f" = {value!r}"
        return ProfileError(f"{self.path}: {where}{shown} {_ended(rule)}{f' {fix}' if fix else ''}")

    def check_names(self, given: Iterable[str], known: Iterable[str], where: str) -> None:
        """Refuse a field that is not known."""
        known = sorted(known)
        for name in given:
            if name not in known:
                no_field = _ended(f"{where} has no field {name!r}{nearest(name, known)}")
                home = " or ".join(self._homes.get(name, ()))
                belongs = f" It belongs under {home}." if home else ""
                raise ProfileError(f"{self.path}: {no_field}{belongs} Its fields are {', '.join(known)}.")

    def table(self, given: Any, cls: type[T], where: str) -> T:
        """A TOML table as a ``cls``; fields without a default must be there."""
        if not isinstance(given, dict):
            written = where.partition("[")[0]
            fix = f"Write [{written}], and once only." if isinstance(given, list) else f"Write [{written}]."
            raise self.error(where, given, "must be a table", fix if written == where else "")
        hints = typing.get_type_hints(cls)
        fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
        self.check_names(given, fields, where)
        for field in fields.values():
            no_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if no_default and field.name not in given:
                raise self.error(f"{where}.{field.name}", None, "is missing", "")
        return cls(**{name: self.value(value, hints[name], f"{where}.{name}") for name, value in given.items()})

    def value(self, given: Any, hint: Any, where: str) -> Any:
        """A TOML value as what ``hint`` says."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):  # Something | None; TOML has no None
            return self.value(given, next(kind for kind in arguments if kind is not type(None)), where)
        if origin is Literal:
            if given not in arguments:
                raise self.error(where, given, f"is not allowed{nearest(str(given), arguments)}",
                                 f"It must be one of {', '.join(filter(None, arguments))}.")  # fmt: skip
            return given
        if origin is tuple:
            every = len(arguments) == 2 and arguments[1] is Ellipsis
            if not isinstance(given, list) or not (every or len(given) == len(arguments)):
                numbers = list(range(1, len(arguments) + 1))
                wanted = "a list" if every else f"a list of {len(arguments)}, such as {numbers}"
                fix = f"Write {json.dumps(given.split() or [given])}." if every and isinstance(given, str) else ""
                raise self.error(where, given, f"must be {wanted}", fix)
            kinds = [arguments[0]] * len(given) if every else arguments
            return tuple(
                self.value(item, kind, f"{where}[{i}]") for i, (item, kind) in enumerate(zip(given, kinds, strict=True))
            )
        if hint is Condition:
            return self._condition(self.value(given, str, where), where)
        if hint is Region:
            region = Region(*self.value(given, tuple[int, int, int, int], where))
            if region.left < 0 or region.top < 0 or region.width < 1 or region.height < 1:
                raise self.error(where, given, "is no region of the window", "It is left, top, width, height.")
            return region
        if hint is Path:
            file = self.path.parent / self.value(given, str, where)
            if not file.is_file():
                reading = where.removeprefix("reading.").removesuffix(".digits")
                fix = f"Gather it from play: hakisa digits {self.path} {reading}" if where.endswith(".digits") else ""
                raise self.error(where, given, f"does not exist: there is no file {file}", fix)
            return file
        if origin is not None and issubclass(origin, Mapping):
            if not isinstance(given, dict):
                raise self.error(where, given, "must be a table of texts", "")
            return {name: self.value(value, str, f"{where}.{name}") for name, value in given.items()}
        if hint is float and type(given) is int and abs(given) < sys.float_info.max:
            return float(given)
        if type(given) is not hint:
            raise self.error(
                where, given, f"must be of type {hint.__name__}, not {type(given).__name__}", WRITTEN.get(hint, "")
            )
        return given

    def _condition(self, text: str, where: str) -> Condition:
        try:
            return Condition.parse(text)
        except ValueError as error:
            raise self.error(where, text, f"does not parse: {error}", "") from error
