"""One job: its files composed, its keys set and judged, its paths looked for.

A composed configuration as plain values, with a problem for each value that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.component import not_installed
from runner.config.base_run import based, set_by_base
from runner.config.files import Composition, Library
from runner.config.overrides import Typed, bad_choice, for_hydra, tell_apart
from runner.config.paths import missing_paths
from runner.config.schema import Schema
from runner.config.validation import Problem, judge
from runner.errors import ConfigurationError
from runner.messages import did_you_mean, nearest, quoted
from runner.settings import Settings

MISSING = object()


def to_plain(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """The values with interpolations resolved; keys that are `???` or cannot be resolved are left out and told."""
    problems: list[Problem] = []
    plain: dict[str, Any] = _plain(config, "", problems)
    return plain, problems


def _plain(node: DictConfig | ListConfig, prefix: str, problems: list[Problem]) -> Any:
    names: list[Any] = list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))
    values = {str(name): _value(node, name, f"{prefix}{name}", problems) for name in names}
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
        problems.append(Problem(key, f"{key} must be a value that can be found, got {text!r}: {_reason(error)}"))
        return MISSING
    return _plain(value, f"{key}.", problems) if OmegaConf.is_config(value) else value


def _reason(error: Exception) -> str:
    """What a resolver says, without OmegaConf's words around it; else the first line of OmegaConf's own."""
    return str(error).partition("\n")[0].rpartition(" raised while resolving interpolation: ")[2]


EXTENSIONS = "extensions"
"""The key that allows code to be imported: no file may set it."""


@dataclass
class Check:
    """The check of one job; `problems` are all it has."""

    library: Library
    overrides: Sequence[Override]
    problems: list[str] = field(default_factory=list)
    settings: Settings | None = None
    composition: Composition | None = None

    def run(self) -> Self:
        """Compose, and find what is wrong."""
        typed = tell_apart(self.overrides, self.library)
        choices = list(self._choices(typed.choices))
        self.composition = self._compose(choices, [override.input_line or "" for override in typed.hydra])
        if self.composition is not None:
            self._start_from_run(self.composition, typed)
        return self

    def _start_from_run(self, composition: Composition, typed: Typed) -> None:
        """Judge what was composed, on the base of the run that is named: without that, nothing can be judged."""
        try:
            self.composition = based(composition, typed)
        except ConfigurationError as error:
            self.problems += error.problems
            return
        self._judge(self.composition, [override for override in typed.keys if not set_by_base(override)])

    def _choices(self, overrides: Sequence[Override]) -> Iterator[str]:
        """The choices that can be composed: a bad one is told, and the nearest taken, so that its keys are checked."""
        chosen: dict[str, str] = {}
        for override in overrides:
            problem, group = bad_choice(override, self.library), override.key_or_group
            text = for_hydra(override, self.library)
            if problem is None:
                chosen[group] = text
            else:
                self.problems.append(problem)
                meant = None if override.is_delete() else nearest(override.value(), self.library.groups[group])
                if meant is not None:
                    chosen[group] = f"{text.partition('=')[0]}={meant}"
        for group in list(self._broken(chosen)):
            chosen.pop(group, None)
        yield from chosen.values()

    def _broken(self, chosen: Mapping[str, str]) -> Iterator[str]:
        """The groups whose file cannot be used, and is told; its default takes its place, if it was not that."""
        for group, option in self.library.defaults.items():
            value = chosen.get(group, f"={option}").partition("=")[2]
            problem = self.library.problem_of(group, value) if value in self.library.groups[group] else None
            if problem is not None:
                self.problems.append(problem)
                yield group

    def _compose(self, choices: Sequence[str], hydra: Sequence[str]) -> Composition | None:
        try:
            return self.library.compose([*choices, *hydra])
        except ConfigurationError as error:
            told = [problem for problem in error.problems if problem not in self.problems]
            self.problems += told
        return self._compose(choices, ()) if hydra else None

    def _judge(self, composition: Composition, keys: Sequence[Override]) -> None:
        config = deepcopy(composition.config)
        if config.pop(EXTENSIONS, None) is not None:
            self.problems.append(
                f"extensions must be typed, got it from {_file_of(EXTENSIONS, composition)}; take it out"
            )
        typed = {override.key_or_group for override in keys if self._apply(override, config)}
        document, absent = to_plain(config)
        judgement = judge(document)
        problems = [*absent, *(problem for problem in judgement.problems if problem.key not in {p.key for p in absent})]
        self.problems += [_with_file(problem, composition, typed) for problem in problems]
        self.settings = judgement.settings
        if self.settings is not None:
            missing = [problem for problem in missing_paths(self.settings) if not judgement.touches(problem.key)]
            self.problems += [_with_file(problem, composition, typed) for problem in missing]
            self.problems += not_installed(self.settings.packages())

    def _apply(self, override: Override, config: DictConfig) -> bool:
        """Set a key as Hydra will; False, and a problem, where that is not possible."""
        problem = _kind_problem(override, config, self.library)
        if problem is None:
            try:
                problem = (_remove if override.is_delete() else _set)(override, config)
            except OmegaConfBaseException as error:
                problem = f"{override.input_line} cannot be set: {str(error).partition(chr(10))[0]}"
        if problem is not None:
            self.problems.append(problem)
        return problem is None


def _set(override: Override, config: DictConfig) -> str | None:
    OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
    return None


def _remove(override: Override, config: DictConfig) -> str | None:
    key = override.key_or_group
    group, _, name = key.rpartition(".")
    parent: Any = OmegaConf.select(config, group) if group else config
    if not isinstance(parent, DictConfig) or name not in parent:
        return f"{key} must be set by a file to be removed from it; it is at its default already"
    value = override.value()
    if value is not None and parent[name] != value:
        return f"{override.input_line} must name the value the key has, {quoted(parent[name])}, or none: ~{key}"
    del parent[name]
    return None


def _kind_problem(override: Override, config: DictConfig, library: Library) -> str | None:
    """A kind changed by itself would keep the keys of the other kind's file."""
    group, _, name = override.key_or_group.rpartition(".")
    value = override.value()
    if name != "kind" or not Schema().variants(Schema().locate((group,)).node or {}) or override.is_delete():
        return None
    if value == OmegaConf.select(config, override.key_or_group):
        return None
    options = library.groups[group]
    mend = f"; use {group}={value}" if value in options else did_you_mean(value, options, f"{group}=")
    return f"{group}.kind must not be changed by itself, got {quoted(value)}{mend}"


def _with_file(problem: Problem, composition: Composition, typed: set[str]) -> str:
    """The problem, and the file it comes from unless it was typed."""
    key = f"{problem.key}."
    if any(key.startswith(f"{name}.") or f"{name}.".startswith(key) for name in typed):
        return problem.text
    file = _file_of(problem.key, composition)
    return problem.text if file is None else f"{problem.text} (in {file})"


def _file_of(key: str, composition: Composition) -> str | None:
    file = composition.file_of(key)
    return None if file is None else quoted(file)
