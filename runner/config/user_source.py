"""The user's files as Hydra finds and reads them.

They may begin with a byte-order mark, as editors on Windows write it.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from runner.choices import our_conf
from runner.config.config_file import USER, user_folders

SUFFIX = ".yaml"


class UserSource(ConfigSource):
    """The YAML files of one folder, as Hydra reads files, but without a byte-order mark.

    Hydra takes a mark for a part of the first line, so that `# @package _global_` would not count.
    """

    @staticmethod
    def scheme() -> str:
        """What the path of such a folder begins with on Hydra's search path."""
        return "keras-runner-user"

    def load_config(self, config_path: str) -> ConfigResult:
        """The file at a path without suffix, such as `experiment/wide`."""
        with self._file(config_path).open(encoding="utf-8-sig") as file:
            header = self._get_header_dict(file.read(512))
            file.seek(0)
            return ConfigResult(self.provider, self.full_path(), OmegaConf.load(file), header)

    def available(self) -> bool:
        """Whether the folder is there."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Whether a path is a folder."""
        return Path(self.path, config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether a path is a file."""
        return self._file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The names in a folder: files without their suffix, folders, or both."""
        names: list[str] = []
        for path in Path(self.path, config_path).iterdir():
            self._list_add_result(names, f"{config_path}/{path.name}".lstrip("/"), path.name, results_filter)
        return sorted(set(names))

    def _file(self, config_path: str) -> Path:
        return Path(self.path, config_path if config_path.endswith(SUFFIX) else f"{config_path}{SUFFIX}")


class UserConf(SearchPathPlugin):
    """Puts the user's folders first, so that their files add to the runner's own and override them, in sweeps too."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Prepend the folders, but only for the runner: a plugin serves every Hydra application of a process."""
        ours = str(our_conf())
        if any(element.path.removeprefix("file://") == ours for element in search_path.get_path()):
            for folder in reversed(user_folders()):
                search_path.prepend(USER, f"{UserSource.scheme()}://{folder}")


def offer_user_files() -> None:
    """Let Hydra find the user's files; repeating it is harmless."""
    for plugin in (UserConf, UserSource):
        Plugins.instance().register(plugin)
