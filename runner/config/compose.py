"""The check of one job: composes its files, sets its keys, validates them, and looks for the paths they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.component import not_installed
from runner.config.config_file import shown
from runner.config.files import Composition, Library
from runner.config.overrides import Overrides, bad_choice, by_kind, for_hydra, run_name
from runner.config.paths import missing_paths
from runner.config.resolvers import unmarked
from runner.config.schema import Schema
from runner.config.validation import Problem, validate
from runner.errors import ConfigurationError
from runner.messages import did_you_mean, nearest, quoted
from runner.settings import Settings

EXTENSIONS = "extensions"
"""The key that lists the modules that may be imported; no file may set it."""


@dataclass
class Check:
    """The check of one job; `run` fills `problems`, `settings`, `composition` and `document`."""

    library: Library
    overrides: Sequence[Override]
    problems: list[Problem] = field(default_factory=list)
    settings: Settings | None = None
    composition: Composition | None = None
    document: dict[str, Any] = field(default_factory=dict)
    """The plain values that were checked, without defaults of the schema."""

    @property
    def texts(self) -> list[str]:
        """The problems as lines."""
        return [problem.text for problem in self.problems]

    def run(self) -> Self:
        """Compose the configuration and find its problems."""
        overrides = by_kind(self.overrides, self.library)
        choices = list(self._choices(overrides.choices))
        self.composition = self._compose(choices, [override.input_line or "" for override in overrides.hydra])
        keys = [override for override in overrides.keys if run_name(override) is None]
        if self.composition is not None and len(keys) < len(overrides.keys):
            self.composition = self._on_run(self.composition, overrides)
        if self.composition is not None:
            self._validate(self.composition, keys)
        return self

    def _on_run(self, composition: Composition, overrides: Overrides) -> Composition | None:
        """The composition on the configuration of the earlier run that an override names."""
        from runner.config.base_run import on_base_run  # imports records: only an earlier run needs them

        try:
            return on_base_run(composition, overrides)
        except ConfigurationError as error:
            self.problems += [Problem("", text) for text in error.problems]
            return None

    def _choices(self, overrides: Sequence[Override]) -> Iterator[str]:
        """The choices that can be composed. A bad one is a problem, and the nearest is used, to check its keys too."""
        chosen: dict[str, str] = {}
        for override in overrides:
            problem, group = bad_choice(override, self.library), override.key_or_group
            text = for_hydra(override, self.library)
            if problem is None:
                chosen[group] = text
            else:
                self.problems.append(Problem(group, problem))
                found = None if override.is_delete() else nearest(override.value(), self.library.groups[group])
                if found is not None:
                    chosen[group] = f"{text.partition('=')[0]}={found}"
        for group in list(self._broken(chosen)):
            chosen.pop(group, None)
        yield from chosen.values()

    def _broken(self, chosen: Mapping[str, str]) -> Iterator[str]:
        """The groups whose file cannot be used, which is a problem; the default is used in its place."""
        for group, option in self.library.defaults.items():
            value = chosen.get(group, f"={option}").partition("=")[2]
            problem = self.library.problem_of(group, value) if value in self.library.groups[group] else None
            if problem is not None:
                self.problems.append(Problem(group, problem))
                yield group

    def _compose(self, choices: Sequence[str], hydra: Sequence[str]) -> Composition | None:
        try:
            return self.library.compose([*choices, *hydra])
        except ConfigurationError as error:
            self.problems += [Problem("", text) for text in error.problems if text not in self.texts]
        return self._compose(choices, ()) if hydra else None

    def _validate(self, composition: Composition, keys: Sequence[Override]) -> None:
        config = deepcopy(composition.config)
        if config.pop(EXTENSIONS, None) is not None:
            file = _file_of(EXTENSIONS, composition)
            text = f"extensions must be given on the command line, got it in {file}; remove it there"
            self.problems.append(Problem(EXTENSIONS, text))
        requested = {override.key_or_group for override in keys if self._apply(override, config)}
        self.document, absent = to_plain(config)
        self._leave_out_epochs(composition, requested)
        validated = validate(self.document)
        problems = [*absent, *(problem for problem in validated.problems if problem.key not in {p.key for p in absent})]
        self.problems += [_with_file(problem, composition, requested) for problem in problems]
        self.settings = validated.settings
        if self.settings is not None:
            missing = [problem for problem in missing_paths(self.settings) if not validated.touches(problem.key)]
            self.problems += [_with_file(problem, composition, requested) for problem in missing]
            for package in self.settings.packages():
                self.problems += [Problem(package.key, text) for text in not_installed([package])]

    def _leave_out_epochs(self, composition: Composition, requested: set[str]) -> None:
        """With phases, the epochs of the default file or of an earlier run do not count; those of the user's are wrong.

        Their sum takes their place.
        """
        key, train = "train.epochs", self.document.get("train")
        if isinstance(train, dict) and train.get("phases") and "epochs" in train:
            got = train.pop("epochs")
            if key in requested or composition.file_of(key) in composition.foreign_files:
                text = f"{key} must be left out with train.phases, whose epochs add up to it, got {quoted(got)}"
                self.problems.append(_with_file(Problem(key, f"{text}; remove it"), composition, requested))

    def _apply(self, override: Override, config: DictConfig) -> bool:
        """Set a key as Hydra will; False, and a problem, if that is impossible."""
        problem = _kind_problem(override, config, self.library)
        if problem is None:
            try:
                problem = (_remove if override.is_delete() else _set)(override, config)
            except OmegaConfBaseException as error:
                problem = f"{override.input_line} cannot be set: {str(error).partition(chr(10))[0]}"
        if problem is not None:
            self.problems.append(Problem(override.key_or_group, problem))
        return problem is None


def _set(override: Override, config: DictConfig) -> str | None:
    OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
    return None


def _remove(override: Override, config: DictConfig) -> str | None:
    key = override.key_or_group
    group, _, name = key.rpartition(".")
    parent: Any = OmegaConf.select(config, group) if group else config
    if not isinstance(parent, DictConfig) or name not in parent:
        return f"{key} cannot be removed: no file sets it, so it has its default already"
    value = override.value()
    if value is not None and parent[name] != value:
        return f"{override.input_line} must name the key's present value, {quoted(parent[name])}, or no value: ~{key}"
    del parent[name]
    return None


def _kind_problem(override: Override, config: DictConfig, library: Library) -> str | None:
    """The problem with a changed `kind`: it would keep the keys of the file of the other kind."""
    group, _, name = override.key_or_group.rpartition(".")
    value = override.value()
    if name != "kind" or not Schema().variants(Schema().locate((group,)).node or {}) or override.is_delete():
        return None
    if value == OmegaConf.select(config, override.key_or_group):
        return None
    options = library.groups[group]
    fix = f"; use {group}={value}" if value in options else did_you_mean(value, options, f"{group}=")
    return f"{group}.kind must not be changed without its file, got {quoted(value)}{fix}"


def _with_file(problem: Problem, composition: Composition, requested: set[str]) -> Problem:
    """The problem with the file it comes from, unless the key was given on the command line."""
    key = f"{problem.key}."
    if any(key.startswith(f"{name}.") or f"{name}.".startswith(key) for name in requested):
        return problem
    file = _file_of(problem.key, composition)
    return problem if file is None else Problem(problem.key, f"{problem.text} (in {file})")


def _file_of(key: str, composition: Composition) -> str | None:
    file = composition.file_of(key)
    return None if file is None else shown(file)


MISSING = object()


def to_plain(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """The values with interpolations resolved, and a problem for each that is `???` or cannot be resolved."""
    problems: list[Problem] = []
    plain: dict[str, Any] = _plain(config, "", problems)
    return plain, problems


def _plain(node: DictConfig | ListConfig, prefix: str, problems: list[Problem]) -> Any:
    names: list[Any] = list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))
    values = {unmarked(str(name)): _value(node, name, f"{prefix}{name}", problems) for name in names}
    there = {name: value for name, value in values.items() if value is not MISSING}
    return there if isinstance(node, DictConfig) else list(there.values())


def _value(node: Any, name: Any, key: str, problems: list[Problem]) -> Any:
    if OmegaConf.is_missing(node, name):
        problems.append(Problem(key, f"{key} must be given: {key}=…"))
        return MISSING
    try:
        value = node[name]
    except OmegaConfBaseException as error:
        text = OmegaConf.to_container(node, resolve=False)[name]  # type: ignore[index]
        problems.append(Problem(key, f"{key} must be a value that can be resolved, got {text!r}: {_reason(error)}"))
        return MISSING
    return _plain(value, f"{key}.", problems) if OmegaConf.is_config(value) else unmarked(value)


def _reason(error: Exception) -> str:
    """The message of a resolver without OmegaConf's words around it; else the first line of OmegaConf's message."""
    return str(error).partition("\n")[0].rpartition(" raised while resolving interpolation: ")[2]
