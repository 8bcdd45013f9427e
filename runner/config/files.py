"""All configuration files: the groups and their options, and the composition of a choice of files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.choices import our_conf
from runner.config.config_file import (
    PRIMARY,
    ConfigFile,
    describe,
    file_problem,
    nested,
    path_in,
    read_file,
    shown,
    text_of,
    user_files,
    user_folders,
)
from runner.config.resolvers import register
from runner.config.user_source import offer_user_files
from runner.errors import ConfigurationError
from runner.messages import did_you_mean

VERSION_BASE = "1.3"

MISSING_FILE = re.compile(r"Could not find '(\w+)/([^']+)'")

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, OSError, ValueError, RecursionError)
"""Errors of reading and composing files; a defaults list that includes itself ends in a RecursionError."""


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
        if option not in self.groups.get(group, ()):
            return False
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
            return describe(error, path_in(self._source_of(config_path), config_path))
        return file_problem(file)

    def _explain(self, error: Exception) -> str:
        """An error of composing in one line, with the user's file that causes it where that can be found."""
        found = MISSING_FILE.search(str(error))
        group, option = found.groups() if found else ("", "")
        if group in self.groups:
            asking = next((file for file in user_files() if f"{group}: {option}" in text_of(file)), None)
            where = "" if asking is None else f" (in {shown(asking)})"
            options = self.groups[group]
            return f"{group} must be one of {', '.join(options)}, got {option!r}{did_you_mean(option, options)}{where}"
        if isinstance(error, UnicodeDecodeError):
            return describe(error, next((file for file in user_files() if not text_of(file)), None))
        return describe(error)

    def _compose(self, overrides: list[str]) -> Composition:
        files = tuple(self._chosen(overrides))
        problems = [problem for file in files if (problem := file_problem(file))]
        if problems:
            raise ConfigurationError(problems)
        if any(text.lstrip("+~").startswith("hydra") for text in overrides):
            self.loader.load_configuration(PRIMARY, overrides, RunMode.RUN)  # refuses what Hydra does not know
        # Merged here as Hydra merges them: its own 12 files would take twice as long.
        config = OmegaConf.create({})
        for file in files:
            config.merge_with(nested(file))
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
            self._files[config_path] = read_file(self._source_of(config_path), config_path)
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

    Raises `ConfigurationError` if a folder of the user's cannot be used.
    """
    user_folders()
    with open_hydra() as opened:
        yield Library(opened.config_loader)


@contextmanager
def open_hydra() -> Iterator[Any]:
    """Open Hydra on the runner's files and the user's; a Hydra application around the block is kept."""
    register()
    offer_user_files()
    with (
        without_hydra(),
        initialize_config_dir(config_dir=str(our_conf()), version_base=VERSION_BASE, job_name="runner"),
    ):
        yield GlobalHydra.instance().hydra


@contextmanager
def without_hydra() -> Iterator[None]:
    """Set aside a Hydra application around the block: Hydra allows only one at a time, and never forgets the last."""
    outer, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = outer, config
