"""Configuration files: where they are, the groups and their options, and the composition of a choice of files.

There are the runner's own files and the user's `./conf`, which comes first on Hydra's search path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.config.resolvers import register
from runner.errors import ConfigurationError
from runner.messages import did_you_mean
from runner.settings import Settings

PRIMARY = "config"
"""The name of the primary file, `config.yaml`, which is always the runner's own."""

USER = "user"
"""Hydra's name for the source of the user's files."""


def our_conf() -> Path:
    """The folder of the runner's own files: inside the package in a wheel, next to it in a checkout."""
    inside = Path(__file__).resolve().parents[1] / "conf"
    return inside if inside.is_dir() else inside.parents[1] / "conf"


def our_plugins() -> Path:
    """The folder that holds the runner's part of the package `hydra_plugins`."""
    return Path(__file__).resolve().parent / "plugins"


def user_conf() -> Path | None:
    """The folder `conf` in the working directory; None if there is none, or if it is the runner's own.

    Raises `ConfigurationError` if it has a config.yaml, which would replace the runner's own and its defaults list.
    """
    folder = Path.cwd() / "conf"
    if not folder.is_dir() or folder.samefile(our_conf()):
        return None
    if (folder / f"{PRIMARY}.yaml").exists():
        raise ConfigurationError(
            f"conf/{PRIMARY}.yaml must not exist: it would replace the runner's own; move its keys to a file of a "
            "group, for example conf/train/mine.yaml, and choose that with train=mine"
        )
    return folder


def shown(path: Path) -> str:
    """A path for messages: relative if it is in the working directory."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


class UserConf(SearchPathPlugin):
    """Puts the user's folder first, so that its files add to the runner's own and override them, in sweeps too."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Prepend the folder, but only for the runner: a plugin serves every Hydra application of a process."""
        ours = str(our_conf())
        if any(element.path.removeprefix("file://") == ours for element in search_path.get_path()):
            folder = user_conf()
            if folder is not None:
                search_path.prepend(USER, f"file://{folder}")


VERSION_BASE = "1.3"

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, RecursionError)
"""Errors of reading and composing files; a defaults list that includes itself ends in a RecursionError."""


@dataclass(frozen=True)
class ConfigFile:
    """One file of a composition: its content, without defaults list, belongs at the dotted `package`."""

    path: Path
    package: str
    content: Any
    defaults: tuple[Any, ...]
    foreign: bool

    def has(self, key: str) -> bool:
        """Whether the file sets the dotted `key`, or something below it."""
        node = self.content
        for part in _below(self.package, key):
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True

    def sets_hydra(self) -> bool:
        """Whether the file configures Hydra itself."""
        packages = (self.package, *(self.content if self.package == "" else ()))
        entries = [str(key) for entry in self.defaults if isinstance(entry, dict) for key in entry]
        return any(name.split(".")[0] == "hydra" for name in map(str, packages)) or any(
            entry.removeprefix("override ").strip().lstrip("/").startswith("hydra/") for entry in entries
        )


@dataclass(frozen=True)
class Composition:
    """The configuration of a choice of files; later files win."""

    config: DictConfig
    files: tuple[ConfigFile, ...]

    def file_of(self, key: str) -> Path | None:
        """The file the value of a dotted key comes from; None if no file sets it."""
        return next((file.path for file in reversed(self.files) if file.has(key)), None)

    @property
    def foreign_files(self) -> tuple[Path, ...]:
        """The user's own files among them, each once, in the order they were merged."""
        return tuple(dict.fromkeys(file.path for file in self.files if file.foreign))


class Library:
    """All files that can be chosen; `open_library` opens it."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self._files: dict[str, ConfigFile] = {}
        self.groups: Mapping[str, tuple[str, ...]] = dict(self._list_groups(""))
        self.defaults: Mapping[str, str] = self._list_defaults()
        self._compositions: dict[tuple[str, ...], Composition] = {}

    def compose(self, overrides: Sequence[str]) -> Composition:
        """The composition of these choices of files and Hydra settings; the same choices are composed once.

        Raises `ConfigurationError` if a file cannot be read or merged.
        """
        key = tuple(overrides)
        if key not in self._compositions:
            try:
                self._compositions[key] = self._compose(list(overrides))
            except COMPOSITION_ERRORS as error:
                raise ConfigurationError(self._explain(error)) from error
        return self._compositions[key]

    def sets(self, group: str, option: str, key: str) -> bool:
        """Whether the file of an option of the user's sets the dotted `key`, or something below it."""
        try:
            file = self._file(f"{group}/{option}")
        except COMPOSITION_ERRORS:
            return False
        return file.foreign and isinstance(file.content, dict) and file.has(key)

    def problem_of(self, group: str, option: str) -> str | None:
        """The problem that the file of an option has by itself; None if it has none."""
        config_path = f"{group}/{option}"
        try:
            file = self._file(config_path)
        except COMPOSITION_ERRORS as error:
            return _describe(error, _path(self._source_of(config_path), config_path))
        return _file_problem(file)

    def _explain(self, error: Exception) -> str:
        """An error of composing in one line, with the user's file that causes it where that can be found."""
        found = MISSING_FILE.search(str(error))
        group, option = found.groups() if found else ("", "")
        if group in self.groups:
            asking = next((file for file in _user_files() if f"{group}: {option}" in _text(file)), None)
            where = "" if asking is None else f" (in {shown(asking)})"
            options = self.groups[group]
            return f"{group} must be one of {', '.join(options)}, got {option!r}{did_you_mean(option, options)}{where}"
        if isinstance(error, UnicodeDecodeError):
            return _describe(error, next((file for file in _user_files() if not _text(file)), None))
        return _describe(error)

    def _compose(self, overrides: list[str]) -> Composition:
        files = tuple(self._chosen(overrides))
        problems = [problem for file in files if (problem := _file_problem(file))]
        if problems:
            raise ConfigurationError(problems)
        if any(text.lstrip("+~").startswith("hydra") for text in overrides):
            self.loader.load_configuration(PRIMARY, overrides, RunMode.RUN)  # refuses what Hydra does not know
        # Merged here as Hydra merges them: its own 12 files would take twice as long.
        config = OmegaConf.create({})
        for file in files:
            config.merge_with(_nested(file))
        config.pop("hydra", None)
        return Composition(config, files)

    def _chosen(self, overrides: list[str]) -> Iterator[ConfigFile]:
        """The files of the defaults list, without Hydra's own."""
        for default in self.loader.compute_defaults_list(PRIMARY, overrides, RunMode.RUN).defaults:
            if default.config_path is not None:
                file = self._file(default.config_path)
                if file.foreign or not default.config_path.startswith("hydra/"):
                    yield replace(file, package=default.package or "")

    def _file(self, config_path: str) -> ConfigFile:
        """A file, at the package that its header or its group names; read once."""
        if config_path not in self._files:
            self._files[config_path] = _read(self._source_of(config_path), config_path)
        return self._files[config_path]

    def _source_of(self, config_path: str) -> ConfigSource:
        return next(source for source in self.loader.get_sources() if source.is_config(config_path))

    def _list_groups(self, parent: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name in self._list(parent, ObjectType.GROUP):
            group = f"{parent}/{name}".lstrip("/")
            if group != "hydra":
                options = self._list(group, ObjectType.CONFIG)
                if options:
                    yield group, tuple(options)
                yield from self._list_groups(group)

    def _list(self, group: str, kind: ObjectType) -> list[str]:
        """The names in a group, like `ConfigLoader.list_groups`, which opens all files at each call."""
        sources = (source for source in self.loader.get_sources() if source.is_group(group))
        return sorted({name for source in sources for name in source.list(group, kind)})

    def _list_defaults(self) -> dict[str, str]:
        entries = self._file(PRIMARY).defaults
        pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
        return {group: option for group, option in pairs if not group.startswith("override ")}


@contextmanager
def open_library() -> Iterator[Library]:
    """Open the runner's files and the user's; a Hydra application around the block is kept.

    Raises `ConfigurationError` if the user's folder cannot be used.
    """
    user_conf()
    register()
    Plugins.instance().register(UserConf)
    with (
        without_hydra(),
        initialize_config_dir(config_dir=str(our_conf()), version_base=VERSION_BASE, job_name="runner"),
    ):
        yield Library(GlobalHydra.instance().config_loader())


@contextmanager
def without_hydra() -> Iterator[None]:
    """Set aside a Hydra application around the block: Hydra allows only one at a time."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = outer


def _read(source: ConfigSource, config_path: str) -> ConfigFile:
    result = source.load_config(config_path)
    content = OmegaConf.to_container(result.config, resolve=False)
    defaults: Any = content.pop("defaults", ()) if isinstance(content, dict) else ()
    group, header = config_path.rpartition("/")[0].replace("/", "."), result.header.get("package")
    package = group if header is None else header.replace("_global_", "")
    listed = tuple(defaults) if isinstance(defaults, list) else ()
    return ConfigFile(_path(source, config_path), package, content, listed, foreign=source.provider == USER)


def _nested(file: ConfigFile) -> dict[str, Any]:
    """The content of a file below the keys of its package."""
    content: dict[str, Any] = file.content
    for name in reversed(file.package.split(".") if file.package else ()):
        content = {name: content}
    return content


def _path(source: ConfigSource, config_path: str) -> Path:
    return Path(source.path, f"{config_path}.yaml")


def _below(package: str, key: str) -> list[str]:
    """The parts of a key within a package; a part that no file has, if the key is outside of the package."""
    parts, outer = key.split("."), package.split(".") if package else []
    return parts[len(outer) :] if parts[: len(outer)] == outer else ["\0"]


MISSING_FILE = re.compile(r"Could not find '(\w+)/([^']+)'")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def _user_files() -> Iterator[Path]:
    folder = user_conf()
    return iter(sorted(folder.rglob("*.yaml"))) if folder is not None else iter(())


def _text(file: Path) -> str:
    """The text of a file; empty if it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _file_problem(file: ConfigFile) -> str | None:
    if file.foreign and file.path.is_file() and file.path.read_bytes().startswith(BYTE_ORDER_MARK):
        return f"{shown(file.path)} must be UTF-8 without a byte-order mark; save it as plain UTF-8"
    group = file.package.partition(".")[0]
    if file.foreign and group and group not in (*Settings.model_fields, "hydra"):
        return (
            f"{shown(file.path)} must begin with the line `# @package _global_`: without it, its keys would be those "
            f"of a group {group!r}, which the configuration does not have"
        )
    ours = our_conf() / file.path.parent.name / file.path.name
    if file.foreign and ours.is_file() and "kind:" in _text(ours) and not ("kind" in file.content or file.defaults):
        return (
            f"{shown(file.path)} must name its kind, as it takes the place of the runner's own file: add `kind: …`, or "
            "give it another name and build on that file, defaults: "
            f"[{file.path.stem}]"
        )
    if not isinstance(file.content, dict):
        return f"{shown(file.path)} must hold keys with values, got a list"
    if file.foreign and file.sets_hydra():
        return f"{shown(file.path)} must not configure Hydra; give keys of hydra on the command line"
    return None


def _describe(error: Exception, path: Path | None = None) -> str:
    """An error of reading or composing, in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, context = error.problem_mark, error.context_mark
        start = f" ({error.context} that begins in line {context.line + 1})" if context is not None else ""
        return f"{shown(Path(mark.name))}, line {mark.line + 1}: {error.problem}{start}"
    where = "" if path is None else f"{shown(path)}: "
    if isinstance(error, RecursionError):
        return f"{where}the defaults lists include each other; in a file of the group loader write `- sequence`"
    if isinstance(error, UnicodeDecodeError):
        return f"{where or 'a file under conf: '}must be UTF-8 text, got other bytes"
    lines = str(error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error).splitlines()
    keys = [line.strip().removeprefix("full_key: ") for line in lines if "full_key:" in line]
    return where + "".join(f"{key}: " for key in keys) + (lines[0] if lines else type(error).__name__)
