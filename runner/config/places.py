"""Where configuration files lie: ours, and the user's `./conf`, which goes first on Hydra's search path."""

from __future__ import annotations

import os
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from runner.errors import ConfigurationError

PRIMARY = "config"
"""The name of the primary file, `config.yaml`; it is always ours."""

USER = "user"
"""What Hydra calls the source of the user's files."""


def our_conf() -> Path:
    """The folder of the files we bring: inside the package in a wheel, beside it in a checkout."""
    inside = Path(__file__).resolve().parents[1] / "conf"
    return inside if inside.is_dir() else inside.parents[1] / "conf"


def our_plugins() -> Path:
    """The folder that holds our part of the package `hydra_plugins`."""
    return Path(__file__).resolve().parent / "plugins"


def user_conf() -> Path | None:
    """The folder `conf` in the working directory; None if there is none, or if it is ours.

    Raises `ConfigurationError` if it has a config.yaml: that would replace ours, defaults list and all.
    """
    folder = Path.cwd() / "conf"
    if not folder.is_dir() or folder.samefile(our_conf()):
        return None
    if (folder / f"{PRIMARY}.yaml").exists():
        raise ConfigurationError(
            f"conf/{PRIMARY}.yaml must not exist: it would replace the runner's own; "
            "move its keys to a file of a group, conf/train/mine.yaml say, and choose that with train=mine"
        )
    return folder


def shown(path: Path) -> str:
    """A path as a person at the terminal would type it: relative if it lies below the working directory."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


class UserConf(SearchPathPlugin):
    """Puts the user's folder in front, so that its files add to ours and override them, in sweeps too."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Prepend the folder, if the application is ours: plugins serve every Hydra application of a process."""
        ours = str(our_conf())
        if any(element.path.removeprefix("file://") == ours for element in search_path.get_path()):
            folder = user_conf()
            if folder is not None:
                search_path.prepend(USER, f"file://{folder}")
