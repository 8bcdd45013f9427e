"""Comparison of a rerun with the run it repeats: data, order, weights, metrics and predictions, and likely causes."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from runner.data.pack_format import PACK_JSON
from runner.messages import plural, yaml_text
from runner.records.contents import changed_files, read_contents
from runner.records.diff import changed_code, changed_keys, changed_packages
from runner.records.earlier import OF_THE_BATCHES
from runner.records.metrics import EPOCH, METRICS_CSV, TIMING, read_metrics
from runner.records.predictions import PREDICTIONS_CSV, file_columns
from runner.records.run_folder import RunFolder
from runner.records.user_modules import changed_modules

OF_THE_RUN = ("rerun", "verify", "extensions", "resume", "resume_inexact", "tracker")
"""Keys of the configuration that cannot change the results of a run."""


@dataclass
class RunComparison:
    """The comparison of one thing, `name`: how much was compared, what differs, and what cannot be compared."""

    name: str
    compared: str = ""
    differences: list[str] = field(default_factory=list)
    num_differences: int = 0
    unknown: str = ""

    def differs(self, text: str, count: int = 1) -> None:
        """Add `count` differences; `text` describes the first of them."""
        self.differences.append(text)
        self.num_differences += count


@dataclass(frozen=True)
class Pair:
    """An earlier run, `first`, and the one that repeats it, which has done its work and not closed its record.

    `config` is the configuration of the run now, which a resume may have changed; `ids` are the samples of its splits.
    """

    first: RunFolder
    now: RunFolder
    config: Mapping[str, Any]
    ids: Mapping[str, Sequence[str]]

    def comparisons(self) -> Iterator[RunComparison]:
        """All comparisons, in the order in which one difference leads to the next."""
        yield self._data()
        yield self._stream("ids", "order of training samples")
        yield self._stream("pixels", "pixels of every hundredth batch")
        yield self._weights()
        yield self._metrics()
        yield self._evaluation()
        yield self._predictions()
        yield self._stream("masks", "predicted masks")
        yield self._stream("arrays", "predicted arrays")

    @cached_property
    def _are_as_long(self) -> bool:
        """Whether both runs were configured for the same number of epochs and completed them."""
        epochs = [config["train"]["epochs"] for config in (self.first.final_config, self.config)]
        done = [run.status != "killed" and _has_completed(run) for run in (self.first, self.now)]
        return epochs[0] == epochs[1] and all(done)

    @cached_property
    def _why_shorter(self) -> str:
        """Why the results of whole runs cannot be compared."""
        if not _has_completed(self.first):
            return f"the first run was {self.first.status}"
        return f"the first run was configured for {plural(self.first.final_config['train']['epochs'], 'epoch')}"

    def _data(self) -> RunComparison:
        comparison = RunComparison("data")
        before, now = self.first.document.get("data", {}), self.now.document["data"]
        if "fingerprint" not in before:
            comparison.unknown = "data: not recorded by the first run"
            return comparison
        if before["samples"] != now["samples"]:
            comparison.differs(
                f"number of samples changed from {_counts(before['samples'])} to {_counts(now['samples'])}"
            )
        unknown, known, unread = self._contents(comparison)
        files = before.get("contents", {}).get("files", {})
        # A pack's own file says where samples are: no part of the data, once all bytes that were read are compared.
        in_packs = PACK_JSON in {*files, *now["contents"]["files"]} and known > 0 and unknown == unread
        for name, digest in now["contents"]["files"].items():
            if name == PACK_JSON and in_packs:
                continue
            if name in files and files[name] != digest:
                comparison.differs(f"content of file {name} changed")
            known, unknown = known + (name in files), unknown + (name not in files)
        if before["fingerprint"] != now["fingerprint"] and unknown and not (in_packs or comparison.differences):
            comparison.differs(
                "names, sizes or modification times of the data's files changed "
                f"(fingerprint {_from_to(before['fingerprint'], now['fingerprint'])})"
            )
        how = f"contents of {plural(known, 'file')}" if known else "names, sizes and modification times of files"
        comparison.compared = f"data ({how})"
        if unknown:
            comparison.unknown = f"contents of {plural(unknown, 'file')}: not recorded by the first run"
        return comparison

    def _contents(self, comparison: RunComparison) -> tuple[int, int, int]:
        """Compare the files of samples: how many cannot be compared, how many were, how many this run did not read."""
        tables_before, tables_now = read_contents(self.first.path), read_contents(self.now.path)
        unknown = known = unread = 0
        for split, ids in self.ids.items():
            now = tables_now.get(split)
            if now is None:  # its samples are not files
                continue
            changed, missing = changed_files(tables_before.get(split, now[:0]), now)
            unknown, known = unknown + missing, known + len(now) - missing
            unread += int(np.count_nonzero(now["name"] == 0))
            if len(changed):
                more = f", and of {plural(len(changed) - 1, 'other')}" if len(changed) > 1 else ""
                comparison.differs(f"{split}: content of {ids[changed[0]]}{more} changed", len(changed))
        return unknown, known, unread

    def _stream(self, key: str, text: str) -> RunComparison:
        comparison = RunComparison(key)
        before, now = (run.document.get("digests", {}).get(key) for run in (self.first, self.now))
        if before is None or now is None:
            if now is not None:  # `mode=predict` has no training batches
                comparison.unknown = f"{key}: not recorded by the first run"
        elif not self._are_as_long:
            comparison.unknown = f"{key}: {self._why_shorter}"
        else:
            comparison.compared = key
            if before != now:
                comparison.differs(f"{text} differ{'s' * (key == 'ids')} ({_from_to(before, now)})")
        return comparison

    def _weights(self) -> RunComparison:
        comparison = RunComparison("weights")
        before, now = (run.document.get("digests", {}) for run in (self.first, self.now))
        epochs_before, epochs_now = before.get("weights_per_epoch", []), now.get("weights_per_epoch", [])
        pairs = [
            (epoch, *both)
            for epoch, both in enumerate(zip(epochs_before, epochs_now, strict=False), 1)
            if None not in both
        ]
        changed = [pair for pair in pairs if pair[1] != pair[2]]
        if pairs:
            comparison.compared = f"weights of {plural(len(pairs), 'epoch')}"
        if changed:
            epoch, *digests = changed[0]
            comparison.differs(f"weights differ after epoch {epoch} ({_from_to(*digests)})", len(changed))
        if self._are_as_long and epochs_before and len(epochs_before) != len(epochs_now):
            comparison.differs(f"number of epochs trained changed from {len(epochs_before)} to {len(epochs_now)}")
        if self._are_as_long and "weights" in before and "weights" in now:
            comparison.compared = comparison.compared or "final weights"
            if before["weights"] != now["weights"]:
                comparison.differs(f"final weights differ ({_from_to(before['weights'], now['weights'])})")
        elif epochs_now and not pairs:
            comparison.unknown = "weights: not recorded by the first run"
        return comparison

    def _metrics(self) -> RunComparison:
        comparison = RunComparison("metrics")
        before, now = read_metrics(self.first.path), read_metrics(self.now.path)
        columns = [name for name in (before[0] if before else ()) if name not in (*TIMING, EPOCH)]
        rows = list(zip(before, now, strict=False))
        if rows:
            comparison.compared = f"{plural(len(columns), 'column')} of metrics"
        for old, new in rows:
            for name in columns:
                if not _are_equal(old[name], new.get(name)):
                    values = f"from {yaml_text(old[name])} to {yaml_text(new.get(name))}"
                    comparison.differs(f"{name} of epoch {old[EPOCH]} in {METRICS_CSV} changed {values}")
        return comparison

    def _evaluation(self) -> RunComparison:
        comparison = RunComparison("evaluation")
        before, now = (run.document.get("results", {}).get("evaluate") for run in (self.first, self.now))
        if before is None or now is None:
            return comparison
        if not self._are_as_long:
            comparison.unknown = f"evaluation and predictions: {self._why_shorter}"
            return comparison
        comparison.compared = "evaluation"
        for name, value in before.items():
            if not _are_equal(value, now.get(name)):
                values = f"from {yaml_text(value)} to {yaml_text(now.get(name))}"
                comparison.differs(f"{name} of the evaluation changed {values}")
        return comparison

    def _predictions(self) -> RunComparison:
        comparison = RunComparison("predictions")
        files = [run.path / PREDICTIONS_CSV for run in (self.first, self.now)]
        if not (self._are_as_long and all(file.exists() for file in files)):
            return comparison
        with ExitStack() as closing:
            readers = [csv.reader(closing.enter_context(_opened(file))) for file in files]
            header, rows, free = next(readers[1], []), 0, self._free_columns
            for old, new in zip_longest(*readers) if next(readers[0], []) == header else [(["columns"], header)]:
                rows += 1
                if old != new and (old := _with_cells(header, old, free, new)) != new:
                    comparison.differs(_changed_row(header, old, new))
        comparison.compared = plural(rows, "prediction")
        return comparison

    @property
    def _free_columns(self) -> set[str]:
        """Columns that say nothing of the predictions: files of masks, where only one run enlarged them."""
        before, now = (run.enlarges_masks for run in (self.first, self.now))
        return file_columns(self.now.heads) if before != now else set()


def _has_completed(run: RunFolder) -> bool:
    return run.status in ("completed", "running")  # the run now has not closed its record


def _opened(file: Path) -> Any:
    return file.open(encoding="utf-8", newline="")


def _with_cells(header: list[str], row: list[str] | None, columns: Collection[str], other: list[str] | None) -> Any:
    """A row of predictions.csv with the cells that another one has in some columns."""
    if not columns or row is None or other is None or not len(header) == len(row) == len(other):
        return row
    return [theirs if name in columns else ours for name, ours, theirs in zip(header, row, other, strict=True)]


def _changed_row(header: Sequence[str], old: Sequence[str] | None, new: Sequence[str] | None) -> str:
    """The first column in which two rows of predictions.csv differ."""
    if old is None or new is None:
        return f"{PREDICTIONS_CSV} has {'more' if old is None else 'fewer'} rows than in the first run"
    column = next((number for number, cells in enumerate(zip(old, new, strict=False)) if cells[0] != cells[1]), 0)
    if not column or len(old) != len(new):
        return f"columns or samples of {PREDICTIONS_CSV} changed: {old[0]} became {new[0]}"
    return f"{header[column]} of {new[0]} in {PREDICTIONS_CSV} changed from {old[column]} to {new[column]}"


def _are_equal(old: Any, new: Any) -> bool:
    # A loss that is NaN equals itself here.
    return bool(old == new or (old != old and new != new))


def _counts(samples: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in samples.items())


def _from_to(before: str, now: str) -> str:
    return f"{before[:12]} became {now[:12]}"


def first_difference(comparisons: Iterable[RunComparison]) -> str | None:
    """The first difference; None if nothing differs."""
    return next((text for comparison in comparisons for text in comparison.differences), None)


def likely_causes(pair: Pair) -> Iterator[str]:
    """Changes in configuration, packages, code, environment or machine that may explain why a rerun differs."""
    before, now = pair.first.document, pair.now.document
    for key, text in changed_keys(pair.first.final_config, pair.config):
        if key.partition(".")[0] not in OF_THE_RUN and not _only_reads(key, pair):
            yield text
    if any(resume.get("inexact") for resume in before.get("resumed", ())):
        yield "the first run was resumed with resume_inexact=true"
    # A record of an earlier version has the main packages only.
    installed = {**now.get("packages", {}), **now["versions"]}
    yield from changed_packages({**before.get("packages", {}), **before["versions"]}, installed)
    yield from changed_code(before["git"], now["git"])
    yield from changed_modules(before.get("code"), now.get("code") or {})
    yield from _changed_weights(before, now)
    for section in ("environment", "machine"):
        if section in before:
            known = {name: value for name, value in now[section].items() if name in before[section]}
            shared = known if section == "machine" else now[section]
            yield from (text for _, text in changed_keys({section: before[section]}, {section: shared}))


def other_reading(pair: Pair) -> Iterator[str]:
    """Changes that only say how the same batches are read, which explain no difference."""
    changes = changed_keys(pair.first.final_config, pair.config)
    yield from (text for key, text in changes if _only_reads(key, pair))


def _only_reads(key: str, pair: Pair) -> bool:
    group, _, name = key.partition(".")
    kinds = [(config.get("loader") or {}).get("kind") for config in (pair.first.final_config, pair.config)]
    return group == "loader" and name not in OF_THE_BATCHES and "custom" not in kinds


def _changed_weights(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """The file of initial weights, if it was another one."""
    was, weights = (document.get("model", {}).get("weights", {}) for document in (before, now))
    if was and weights and was["digest"] != weights["digest"]:
        yield f"the initial weights in {weights['path']} changed ({_from_to(was['digest'], weights['digest'])})"
