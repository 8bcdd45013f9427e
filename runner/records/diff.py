"""What is not as it was in an earlier run: keys of the configuration, packages, code.

What tells runs apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.records.dotted import flat
from runner.records.run_folder import RunFolder

Section = Mapping[str, Any]


def changed_keys(before: Section, now: Section) -> Iterator[tuple[str, str]]:
    """The dotted keys of two configurations that have other values, each with what there is to say of it.

    >>> list(changed_keys({"train": {"epochs": 1}}, {"train": {"epochs": 2}}))
    [('train.epochs', 'train.epochs is 2, and was 1')]
    """
    flat_before, flat_now = dict(flat(before)), dict(flat(now))
    for key in dict.fromkeys((*flat_before, *flat_now)):
        if flat_before.get(key) != flat_now.get(key):
            yield key, f"{key} is {flat_now.get(key)}, and was {flat_before.get(key)}"


def changed_packages(before: Section, now: Section) -> Iterator[str]:
    """The packages of `before` that have another version now, or are not there any more."""
    for name, version in before.items():
        if now.get(name) != version:
            yield f"{name} {now.get(name) or 'is not'} {'is ' if now.get(name) else ''}installed, and was {version}"


def changed_code(before: Section | None, now: Section | None) -> Iterator[str]:
    """The state of the code, if it is another one; what an earlier version did not record is not compared."""
    known = now and {name: now.get(name) for name in before or now}
    if known != before:
        yield f"the code is {_code(now)}, and was {_code(before)}"


def _code(git: Section | None) -> str:
    if git is None:
        return "in no repository"
    patch = f" by the patch {git['patch'][:12]}" if git.get("patch") else ""
    return f"at commit {git['commit'][:12]}{', changed' if git['dirty'] else ''}{patch}"


OF_ONE_RUN = (
    *("process", "started", "finished", "argv", "overrides", "stage", "seconds", "seeds", "loader"),
    *("rerun", "verified"),
)
"""Sections of run.json in which any two runs differ, or that say again what config.yaml says."""

COSTS = ("fit.wait.", "fit.cpu_seconds", "fit.peak_memory_bytes")
"""What the keys of results begin with that tell what it took, and not what came out."""

SAID_AGAIN = ("digests.weights_per_epoch",)
"""Keys that say more of what another one tells apart."""

SINCE = ("packages", "environment")
"""Sections that earlier versions did not write: where one run lacks them, there is nothing to compare."""


@dataclass(frozen=True)
class Difference:
    """A key, the part of the record it belongs to, and what each of the runs has there; None for nothing."""

    part: str
    key: str
    values: tuple[Any, ...]


def differences(runs: Sequence[RunFolder]) -> list[Difference]:
    """Every key in which these runs are not the same, in the order of config.yaml and run.json."""
    untold = {section for run in runs for section in SINCE if section not in run.document}
    parts = [{("config", key): value for key, value in flat(run.config)} | dict(_recorded(run, untold)) for run in runs]
    keys = dict.fromkeys(key for part in parts for key in part)
    rows = ((key, tuple(part.get(key) for part in parts)) for key in keys)
    return [Difference(*key, values) for key, values in rows if any(value != values[0] for value in values)]


def _recorded(run: RunFolder, untold: Collection[str]) -> Iterator[tuple[tuple[str, str], Any]]:
    for section, content in run.document.items():
        if section not in OF_ONE_RUN and section not in untold:
            known = run.document.get("versions", {}) if section == "packages" else {}
            for key, value in flat(content):
                if key not in known and f"{section}.{key}" not in SAID_AGAIN and not key.startswith(COSTS):
                    yield (section, key or section), value
