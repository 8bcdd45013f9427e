"""Whether a run came to the same as an earlier one: what is compared, in the order in which things happen.

What is not as it was when a run was done before, and may be why the same did not come of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from runner.records.contents import changed_files, read_contents
from runner.records.diff import changed_code, changed_keys, changed_packages
from runner.records.metrics import EPOCH, TIMING, read_metrics
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.run_folder import RunFolder


@dataclass
class Comparison:
    """One thing that was compared: how much of it, what differs, the first difference first, and what is not known."""

    what: str
    compared: str = ""
    differences: list[str] = field(default_factory=list)
    num_differences: int = 0
    unknown: str = ""

    def differs(self, text: str, count: int = 1) -> None:
        """Note that `count` things differ, the first of which is told by `text`."""
        self.differences.append(text)
        self.num_differences += count


@dataclass(frozen=True)
class Pair:
    """An earlier run and the one that repeats it, which has completed its work and not closed its record.

    `config` is the configuration of the run now, which a resume may have changed; `ids` are the samples of its splits.
    """

    first: RunFolder
    now: RunFolder
    config: Mapping[str, Any]
    ids: Mapping[str, Sequence[str]]

    def comparisons(self) -> Iterator[Comparison]:
        """What can be compared, in the order in which one difference leads to the next."""
        yield self._data()
        yield self._stream("ids", "the ids that were trained on, in their order")
        yield self._stream("pixels", "the pixels of every hundredth batch")
        yield self._weights()
        yield self._metrics()
        yield self._evaluation()
        yield self._predictions()

    @cached_property
    def _as_long(self) -> bool:
        """Whether both runs were to train for the same time, and did so to the end."""
        asked = [config["train"]["epochs"] for config in (self.first.final_config, self.config)]
        done = [run.document["status"] != "killed" and _ended(run.document) for run in (self.first, self.now)]
        return asked[0] == asked[1] and all(done)

    @cached_property
    def _why_shorter(self) -> str:
        """Why what a whole run comes to cannot be compared."""
        status = self.first.document["status"]
        if not _ended(self.first.document):
            return f"the first run was {status}"
        return f"the first run was configured for {self.first.final_config['train']['epochs']} epochs"

    def _data(self) -> Comparison:
        comparison = Comparison("data")
        before, now = self.first.document.get("data", {}), self.now.document["data"]
        if "fingerprint" not in before:
            comparison.unknown = "data: the first run recorded none"
            return comparison
        if before["samples"] != now["samples"]:
            comparison.differs(f"the data has {_counts(now['samples'])} samples, and had {_counts(before['samples'])}")
        unknown, known = self._contents(comparison)
        files = before.get("contents", {}).get("files", {})
        for name, digest in now["contents"]["files"].items():
            if name in files and files[name] != digest:
                comparison.differs(f"the file {name} holds something else than it did")
            known, unknown = known + (name in files), unknown + (name not in files)
        if before["fingerprint"] != now["fingerprint"] and unknown and not comparison.differences:
            comparison.differs(
                "the data's files have other names, sizes or times of change (fingerprint "
                f"{now['fingerprint'][:12]}, and was {before['fingerprint'][:12]})"
            )
        how = f"contents of {known:,} files" if known else "names, sizes and times of files"
        comparison.compared = f"data ({how})"
        if unknown:
            comparison.unknown = f"contents not known of {unknown:,} files"
        return comparison

    def _contents(self, comparison: Comparison) -> tuple[int, int]:
        """Compare the files of samples; the number of those of which it cannot be told, and of the others."""
        tables_before, tables_now = read_contents(self.first.path), read_contents(self.now.path)
        unknown = known = 0
        for split, ids in self.ids.items():
            now = tables_now.get(split)
            if now is None:  # its samples are no files
                continue
            changed, here = changed_files(tables_before.get(split, now[:0]), now)
            unknown, known = unknown + here, known + len(now) - here
            if len(changed):
                more = f", and so do {len(changed) - 1:,} others" if len(changed) > 1 else ""
                comparison.differs(f"{split}: {ids[changed[0]]} holds something else than it did{more}", len(changed))
        return unknown, known

    def _stream(self, key: str, what: str) -> Comparison:
        comparison = Comparison(key)
        before, now = (run.document.get("digests", {}).get(key) for run in (self.first, self.now))
        if before is None or now is None:
            if now is not None:  # `mode=predict` trains on nothing
                comparison.unknown = f"{key}: the first run has not recorded them"
        elif not self._as_long:
            comparison.unknown = f"{key}: {self._why_shorter}"
        else:
            comparison.compared = key
            if before != now:
                comparison.differs(f"{what}, are others ({now[:12]}, and were {before[:12]})")
        return comparison

    def _weights(self) -> Comparison:
        comparison = Comparison("weights")
        before, now = (run.document.get("digests", {}) for run in (self.first, self.now))
        epochs_before, epochs_now = before.get("weights_per_epoch", []), now.get("weights_per_epoch", [])
        pairs = [
            (epoch, *both)
            for epoch, both in enumerate(zip(epochs_before, epochs_now, strict=False), 1)
            if None not in both
        ]
        differ = [pair for pair in pairs if pair[1] != pair[2]]
        if pairs:
            comparison.compared = f"weights of {_epochs(len(pairs))}"
        if differ:
            epoch, was, is_now = differ[0]
            comparison.differs(
                f"the weights at the end of epoch {epoch} are others ({is_now[:12]}, and were {was[:12]})", len(differ)
            )
        if self._as_long and epochs_before and len(epochs_before) != len(epochs_now):
            comparison.differs(f"the training took {_epochs(len(epochs_now))}, and took {_epochs(len(epochs_before))}")
        if self._as_long and "weights" in before and "weights" in now:
            comparison.compared = comparison.compared or "final weights"
            if before["weights"] != now["weights"]:
                comparison.differs(
                    f"the final weights are others ({now['weights'][:12]}, and were {before['weights'][:12]})"
                )
        elif epochs_now and not pairs:
            comparison.unknown = "weights: the first run has not recorded them"
        return comparison

    def _metrics(self) -> Comparison:
        comparison = Comparison("metrics")
        before, now = read_metrics(self.first.path), read_metrics(self.now.path)
        columns = [name for name in (before[0] if before else ()) if name not in (*TIMING, EPOCH)]
        rows = list(zip(before, now, strict=False))
        if rows:
            comparison.compared = f"{len(columns)} columns of metrics"
        for was, is_now in rows:
            for name in columns:
                if not _same(was[name], is_now.get(name)):
                    comparison.differs(
                        f"{name} of epoch {was[EPOCH]} in metrics.csv is {is_now.get(name)}, and was {was[name]}"
                    )
        return comparison

    def _evaluation(self) -> Comparison:
        comparison = Comparison("evaluation")
        before, now = (run.document.get("results", {}).get("evaluate") for run in (self.first, self.now))
        if before is None or now is None:
            return comparison
        if not self._as_long:
            comparison.unknown = f"evaluation and predictions: {self._why_shorter}"
            return comparison
        comparison.compared = "evaluation"
        for name, value in before.items():
            if not _same(value, now.get(name)):
                comparison.differs(f"{name} of the evaluation is {now.get(name)}, and was {value}")
        return comparison

    def _predictions(self) -> Comparison:
        comparison = Comparison("predictions")
        files = [run.path / PREDICTIONS_CSV for run in (self.first, self.now)]
        if not (self._as_long and all(file.exists() for file in files)):
            return comparison
        with ExitStack() as closing:
            readers = [csv.reader(closing.enter_context(_opened(file))) for file in files]
            header, rows = next(readers[1], []), 0
            for was, is_now in zip_longest(*readers) if next(readers[0], []) == header else [(["columns"], header)]:
                rows += 1
                if was != is_now:
                    comparison.differs(_other_row(header, was, is_now))
        comparison.compared = f"{rows:,} predictions"
        return comparison


def _ended(document: Mapping[str, Any]) -> bool:
    return document["status"] in ("completed", "running")  # the one now has not closed its record yet


def _opened(file: Path) -> Any:
    return file.open(encoding="utf-8", newline="")


def _other_row(header: Sequence[str], was: Sequence[str] | None, is_now: Sequence[str] | None) -> str:
    """In which column two rows differ first."""
    if was is None or is_now is None:
        return f"predictions.csv has {'more' if was is None else 'fewer'} rows than it had"
    column = next((number for number, cells in enumerate(zip(was, is_now, strict=False)) if cells[0] != cells[1]), 0)
    if not column or len(was) != len(is_now):
        return f"predictions.csv has other columns or samples: {is_now[0]}, and was {was[0]}"
    return f"{header[column]} of {is_now[0]} in predictions.csv is {is_now[column]}, and was {was[column]}"


def _same(was: Any, is_now: Any) -> bool:
    # A loss that is no number is equal to itself here.
    return bool(was == is_now or (was != was and is_now != is_now))


def _counts(samples: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in samples.items())


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count != 1)}"


def first_difference(comparisons: Iterable[Comparison]) -> str | None:
    """The first difference there is, None if all is the same."""
    return next((text for comparison in comparisons for text in comparison.differences), None)


OF_THE_RUN = ("rerun", "verify", "extensions", "resume", "resume_inexact", "tracker")
"""Keys of the configuration that say nothing of what a run comes to."""


def likely_causes(pair: Pair) -> Iterator[str]:
    """Configuration, packages, code, environment and machine, as far as they differ."""
    then, here = pair.first.document, pair.now.document
    for key, text in changed_keys(pair.first.final_config, pair.config):
        if key.partition(".")[0] not in OF_THE_RUN:
            yield text
    if any(again.get("inexact") for again in then.get("resumed", ())):
        yield "the first run was resumed with resume_inexact=true"
    # A record of an earlier version has the main packages only.
    installed = {**here.get("packages", {}), **here["versions"]}
    yield from changed_packages({**then.get("packages", {}), **then["versions"]}, installed)
    yield from changed_code(then["git"], here["git"])
    for section in ("environment", "machine"):
        if section in then:
            known = {name: value for name, value in here[section].items() if name in then[section]}
            shared = known if section == "machine" else here[section]
            yield from (text for _, text in changed_keys({section: then[section]}, {section: shared}))
