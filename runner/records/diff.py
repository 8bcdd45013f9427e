"""Differences between runs: changes since an earlier run in one line each, and every key in which runs differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.messages import yaml_text
from runner.records.dotted import flat, flat_items, is_unset
from runner.records.run_folder import RunFolder

Section = Mapping[str, Any]

OF_ONE_RUN = (
    *("process", "started", "finished", "argv", "overrides", "changed", "stage", "seconds", "seeds", "loader"),
    *("rerun", "verified", "goals"),
)
"""Sections of run.json that differ between any two runs, or repeat what config.yaml says."""

COSTS = ("fit.wait.", "fit.ranks", "fit.cpu_seconds", "fit.peak_memory_bytes")
"""Beginnings of keys of `results` that measure time or memory, not the outcome."""

REPEATED = ("digests.weights_per_epoch",)
"""Keys that differ wherever another key, here the final weights, does."""

ADDED = ("packages", "environment", "code")
"""Sections that earlier versions did not write: compared only where every run has them."""


@dataclass(frozen=True)
class Difference:
    """A key, the part of the record it belongs to, and its value in each run; None where it is missing."""

    part: str
    key: str
    values: tuple[Any, ...]


def differences(runs: Sequence[RunFolder]) -> list[Difference]:
    """Every key whose value is not the same in all runs, in the order of config.yaml and run.json.

    A key that is not set is the same as one that is missing: components differ in which keys they have.
    """
    missing = {section for run in runs for section in ADDED if section not in run.document}
    entries = [
        {("config", key): value for key, value in flat_items(run.config)} | dict(_recorded(run, missing))
        for run in runs
    ]
    keys = dict.fromkeys(key for entry in entries for key in entry)
    rows = ((key, tuple(entry.get(key) for entry in entries)) for key in keys)
    return [Difference(*key, values) for key, values in rows if _differ(key[1], values)]


def _differ(key: str, values: Sequence[Any]) -> bool:
    first, *others = (None if is_unset(key, value) else value for value in values)
    return any(other != first for other in others)


def _recorded(run: RunFolder, missing: Collection[str]) -> Iterator[tuple[tuple[str, str], Any]]:
    """The keys of run.json that can be compared, each with its section, and their values."""
    for section, content in run.document.items():
        if section not in OF_ONE_RUN and section not in missing:
            known = run.document.get("versions", {}) if section == "packages" else {}
            for key, value in flat_items(content):
                if key not in known and f"{section}.{key}" not in REPEATED and not key.startswith(COSTS):
                    yield (section, key or section), value


def changed_keys(before: Section, now: Section) -> Iterator[tuple[str, str]]:
    """The dotted keys of two configurations whose values differ, each with the line that says so.

    >>> list(changed_keys({"train": {"epochs": 1}}, {"train": {"epochs": 2}}))
    [('train.epochs', 'train.epochs changed from 1 to 2')]
    """
    flat_before, flat_now = dict(flat(before)), dict(flat(now))
    for key in dict.fromkeys((*flat_before, *flat_now)):
        if flat_before.get(key) != flat_now.get(key):
            yield key, f"{key} changed from {yaml_text(flat_before.get(key))} to {yaml_text(flat_now.get(key))}"


def changed_packages(before: Section, now: Section) -> Iterator[str]:
    """A line for each package of `before` that has another version now, or is not installed any more."""
    for name, version in before.items():
        if now.get(name) != version:
            yield f"{name} changed from {_version(version)} to {_version(now.get(name))}"


def _version(version: str | None) -> str:
    return f"version {version}" if version else "not installed"


def changed_code(before: Section | None, now: Section | None) -> Iterator[str]:
    """A line if the state of the code differs; what an earlier version did not record is not compared."""
    comparable = now and {name: now.get(name) for name in before or now}
    if comparable != before:
        yield f"code changed from {_code(before)} to {_code(now)}"


def _code(git: Section | None) -> str:
    if git is None:
        return "no git repository"
    patch = f" (patch {git['patch'][:12]})" if git.get("patch") else ""
    return f"commit {git['commit'][:12]}{' with changes' if git['dirty'] else ''}{patch}"
