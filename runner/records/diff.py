"""What is not as it was in an earlier run: keys of the configuration, packages, code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.records.dotted import flat

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
