"""Whether jobs that differ only in how they read had the same batches, and ended with the same weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from runner.records.earlier import OF_THE_BATCHES
from runner.records.run_folder import Run
from runner.sweeps.results import SweepJob

OF_THE_CALLER = ("workers", "use_multiprocessing", "max_queue_size", "timeout_seconds")
"""Keys that only say who asks for batches of the user's own making; all others of `loader=custom` decide about them."""

DIGESTS = {"ids": "batches", "pixels": "pixels", "weights": "weights"}
"""Digests of run.json that loaders must agree in, and what each stands for."""


def agreements(jobs: Sequence[SweepJob]) -> Iterator[str]:
    """A sentence for each set of completed jobs that differ only in the loader; none where there is no such set."""
    groups: dict[str, list[SweepJob]] = {}
    for job in sorted(jobs, key=lambda job: job.planned.number):
        if job.status == "completed" and job.run.document.get("digests"):
            groups.setdefault(_but_for_the_loader(job.run), []).append(job)
    same: dict[str, int] = {}
    for group in groups.values():
        if len(group) > 1:
            compared = [name for name in DIGESTS if all(name in _digests(job) for job in group)]
            different = [name for name in compared if len({_digests(job)[name] for job in group}) > 1]
            if different:
                yield _difference(group, different)
            else:
                told = ", ".join(f"same {DIGESTS[name]}" for name in compared)
                same[told] = same.get(told, 0) + len(group)
    for told, count in same.items():
        yield f"{count} jobs differ only in the loader: {told}"


def _difference(group: Sequence[SweepJob], names: Sequence[str]) -> str:
    first = group[0]
    others = [job for job in group if any(_digests(job)[name] != _digests(first)[name] for name in names)]
    told = " and ".join(f"digests.{name}" for name in names)
    numbers = ", ".join(str(job.planned.number) for job in others)
    return f"job {numbers} differs from job {first.planned.number} only in the loader, and yet in {told}"


def _digests(job: SweepJob) -> dict[str, Any]:
    return {name: value for name, value in job.run.document["digests"].items() if value is not None}


def _but_for_the_loader(run: Run) -> str:
    """The configuration without the keys that only say how the same batches are read."""
    loader = run.config.get("loader") or {}
    custom = loader.get("kind") == "custom"
    kept = {
        key: value for key, value in loader.items() if (key not in OF_THE_CALLER if custom else key in OF_THE_BATCHES)
    }
    return json.dumps(run.config | {"loader": kept}, sort_keys=True, default=str)
