"""One configuration file: where it may be, what it holds, and what is wrong with it.

There are the runner's own files and the user's: those in `./conf`, which come first on Hydra's search path, and those
in a folder that projects share.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.plugins.config_source import ConfigSource
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.choices import our_conf
from runner.component import is_folder
from runner.errors import ConfigurationError
from runner.settings import Settings

PRIMARY = "config"
"""The name of the primary file, `config.yaml`, which is always the runner's own."""

SHARED_CONF = "KERAS_RUNNER_CONFIG_DIR"
"""The environment variable that names a folder which projects share; so does `--config-dir`."""

USER = "user"
"""Hydra's name for the source of the user's files."""


def our_plugins() -> Path:
    """The folder that holds the runner's part of the package `hydra_plugins`."""
    return Path(__file__).resolve().parent / "plugins"


def user_folders() -> list[Path]:
    """The folders with the user's files, the first wins: `conf` in the working directory, then the shared one.

    Raises `ConfigurationError` if the shared one is not there, or if one has a config.yaml, which would replace the
    runner's own and its defaults list.
    """
    shared = os.environ.get(SHARED_CONF)
    if shared and not is_folder(Path(shared).expanduser()):
        raise ConfigurationError(f"--config-dir (or ${SHARED_CONF}) must be an existing folder, got {shared}")
    named = [Path("conf"), *([Path(shared).expanduser()] if shared else [])]
    folders = [Path.cwd() / folder for folder in named if folder.is_dir() and not folder.samefile(our_conf())]
    for folder in folders:
        if (folder / f"{PRIMARY}.yaml").exists():
            name = shown(folder)
            raise ConfigurationError(
                f"{name}/{PRIMARY}.yaml must not exist: it would replace the runner's own; move its keys to a file of "
                f"a group, for example {name}/train/mine.yaml, and choose that with train=mine"
            )
    return folders


def shown(path: Path) -> str:
    """A path for messages: relative if it is in the working directory."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


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


def read_file(source: ConfigSource, config_path: str) -> ConfigFile:
    """A file, at the package that its header or its group names."""
    result = source.load_config(config_path)
    content = OmegaConf.to_container(result.config, resolve=False)
    defaults: Any = content.pop("defaults", ()) if isinstance(content, dict) else ()
    group, header = config_path.rpartition("/")[0].replace("/", "."), result.header.get("package")
    package = group if header is None else header.replace("_global_", "")
    listed = tuple(defaults) if isinstance(defaults, list) else ()
    return ConfigFile(path_in(source, config_path), package, content, listed, foreign=source.provider == USER)


def nested(file: ConfigFile) -> dict[str, Any]:
    """The content of a file below the keys of its package."""
    content: dict[str, Any] = file.content
    for name in reversed(file.package.split(".") if file.package else ()):
        content = {name: content}
    return content


def path_in(source: ConfigSource, config_path: str) -> Path:
    """The path of a file in a source of Hydra's."""
    return Path(source.path, f"{config_path}.yaml")


def _below(package: str, key: str) -> list[str]:
    """The parts of a key within a package; a part that no file has, if the key is outside of the package."""
    parts, outer = key.split("."), package.split(".") if package else []
    return parts[len(outer) :] if parts[: len(outer)] == outer else ["\0"]


def user_files() -> Iterator[Path]:
    """All YAML files of the user's folders."""
    for folder in user_folders():
        yield from sorted(folder.rglob("*.yaml"))


def text_of(file: Path) -> str:
    """The text of a file; empty if it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


def file_problem(file: ConfigFile) -> str | None:
    """The problem that a file has by itself; None if it has none."""
    group = file.package.partition(".")[0]
    if file.foreign and group and group not in (*Settings.model_fields, "hydra"):
        return (
            f"{shown(file.path)} must begin with the line `# @package _global_`: without it, its keys would be those "
            f"of a group {group!r}, which the configuration does not have"
        )
    ours = our_conf() / file.path.parent.name / file.path.name
    if file.foreign and ours.is_file() and "kind:" in text_of(ours) and not ("kind" in file.content or file.defaults):
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


def describe(error: Exception, path: Path | None = None) -> str:
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
