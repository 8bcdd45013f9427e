"""The configuration of an earlier run in place of the default files: `from_run`, `resume` and `rerun`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from runner.component import is_folder
from runner.config.config_file import ConfigFile, shown
from runner.config.files import Composition
from runner.config.overrides import Overrides, run_name
from runner.config.paths import why_missing
from runner.config.resolvers import literal
from runner.errors import ConfigurationError
from runner.messages import yaml_text
from runner.records.config_yaml import CONFIG_YAML
from runner.records.earlier import OF_THE_BATCHES, newest_training, run_to_rerun, run_to_resume
from runner.records.folder import OUTPUT_DIR, outputs
from runner.records.run_folder import LATEST, RunFolder
from runner.records.run_names import named_run
from runner.settings import Settings


def _first_to_use(folder: Path) -> RunFolder:
    """The run whose model is used; the first of a sweep's."""
    from runner.sweeps.members import runs_to_use  # a start without from_run needs none of it

    return runs_to_use(folder)[0]


CHECKS: dict[str, Callable[[Path], RunFolder]] = {
    "from_run": _first_to_use,
    "rerun": run_to_rerun,
}
OF_THE_MODEL = ("model", "train", "data.scale")
"""Keys that the model file determines."""
OF_ONE_RUN = ("resume", "rerun", "resume_inexact", "resume_takeover", "extensions")
"""Keys of how a run began, which a run that starts from it does not take over; `extensions` must be given again."""
OF_ONE_USE = ("from_run", "split", "debug")
"""Keys of what a run did with another run's model, or tried; only a rerun of that run takes them over."""
LEFT_OUT = {
    "from_run": (*OF_ONE_RUN, *OF_ONE_USE, "verify"),
    "resume": (*OF_ONE_RUN, *OF_ONE_USE),
    "rerun": (*OF_ONE_RUN, "verify"),
}
"""Keys that are not taken over, by the key that names the run; a resumed run keeps `verify`."""


def on_base_run(composition: Composition, overrides: Overrides) -> Composition:
    """The configuration of the run that an override names, with the groups of `composition` that were chosen.

    Raises `ConfigurationError` if that run cannot be used, or if an
    override cannot go with it.
    """
    named = {each.key_or_group: name for each in overrides.keys if (name := run_name(each)) is not None}
    if len(named) > 1:
        raise ConfigurationError(f"{' and '.join(named)} must not go together; give only one of them")
    [(key, name)] = named.items()
    folder = _folder(key, name, _outputs(composition, overrides))
    takeover = any(each.key_or_group == "resume_takeover" and each.value() is True for each in overrides.keys)
    run = run_to_resume(folder, takeover=takeover) if key == "resume" else CHECKS[key](folder)
    files_of = run.path if key == "from_run" else folder
    earlier = run.config if key == "from_run" else run.final_config
    problems = [problem for override in (*overrides.choices, *overrides.keys) if (problem := _conflict(override, key))]
    if problems:
        raise ConfigurationError(problems)
    chosen = [override.key_or_group.replace("/", ".") for override in overrides.choices]
    base = {name: value for name, value in earlier.items() if name not in LEFT_OUT[key]}
    config = OmegaConf.create(literal(base))
    for group in chosen:
        node = OmegaConf.select(composition.config, group)
        if (key, group) == ("resume", "loader"):  # another way to read the same batches
            before = base.get("loader") or {}
            node = OmegaConf.merge(node, {name: before[name] for name in OF_THE_BATCHES if name in before})
        OmegaConf.update(config, group, node, merge=False, force_add=True)
    OmegaConf.update(config, key, str(folder), force_add=True)
    files = [file for file in composition.files if file.package in chosen]
    rest = {name: value for name, value in base.items() if name not in chosen}
    return Composition(config, (ConfigFile(files_of / CONFIG_YAML, "", rest, (), foreign=False), *files))


def reset_keys(settings: Settings, run: Path, overrides: Overrides) -> Iterator[str]:
    """A note for each key of the batches that a rerun takes from the file of another loader, not from its `run`."""
    chosen = [override.input_line for override in overrides.choices if override.key_or_group == "loader"]
    if not chosen:
        return
    before, now = RunFolder(run).final_config.get("loader") or {}, settings.loader.document()
    given = {override.key_or_group for override in overrides.keys}
    for name in OF_THE_BATCHES:
        key = f"loader.{name}"
        if key not in given and name in before and name in now and before[name] != now[name]:
            was, value = yaml_text(before[name]), yaml_text(now[name])
            yield f"{chosen[-1]} sets {key} to {value}; the first run had {was}, and {key}={was} keeps it"


def _outputs(composition: Composition, overrides: Overrides) -> Path:
    """The folder of all runs, by the files and the overrides."""
    given = [composition.config.get(OUTPUT_DIR)]
    given += [None if each.is_delete() else each.value() for each in overrides.keys if each.key_or_group == OUTPUT_DIR]
    return outputs(Path(given[-1]) if given[-1] and isinstance(given[-1], str) else None)


def _folder(key: str, name: str, root: Path) -> Path:
    """The folder of the run, with links resolved: `latest` soon names another one. `root` has all runs."""
    if name != LATEST:
        path = Path(name)
        if not name:
            raise ConfigurationError(f"{key} must be a folder, got ''; give {key}={LATEST} or {key}=RUN_DIR")
        if not is_folder(path):
            found = named_run(root, name, key)
            if found is None:
                raise ConfigurationError(f"{key} must be an existing folder, got {path}{why_missing(path)}")
            path = found.path
        return Path(shown(path.resolve()))
    newest = newest_training(root, with_model=key == "from_run")
    if newest is None:
        what = "a run that trained and has a model" if newest_training(root) else "a run that trained"
        raise ConfigurationError(
            f"{key}={LATEST} must find {what}, but there is none in {root / 'runs'}; start one, or give {key}=RUN_DIR"
        )
    return Path(shown(newest))


def _conflict(override: Override, base: str) -> str | None:
    """The reason why an override cannot go with the key `base`; None if it can."""
    key, text = override.key_or_group.replace("/", "."), override.input_line or ""
    if override.is_delete():
        return f"{text} must be written as {key}=VALUE: with {base} no file is used that a key could be removed from"
    if key.split(".")[0] not in Settings.model_fields:
        return f"{text} must not go with {base}: its file sets keys of several groups; set these keys one by one"
    decided = [name for name in OF_THE_MODEL if f"{key}.".startswith(f"{name}.")] if base == "from_run" else []
    return f"{text} must not go with {base}: that run's model is used unchanged; leave it out" if decided else None
