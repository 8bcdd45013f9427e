"""Reporting a run to its tracker. A tracker that fails does not stop the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

from runner.modes.terminal import Terminal
from runner.records.config_yaml import CONFIG_YAML
from runner.records.dotted import flat
from runner.records.metrics import METRICS_CSV
from runner.records.record import RunRecord, close_log, open_log
from runner.records.run_folder import RunFolder, is_number, read_run
from runner.records.secret_keys import masked, secret_values
from runner.reports.html import REPORT_HTML
from runner.settings import Settings
from runner.trackers.base import MetricsRow, RunEnd, RunStart, Tracker

FILES = (CONFIG_YAML, METRICS_CSV, REPORT_HTML)

MOST_CHARACTERS = 160
"""The most characters of a failure on the terminal; run.log has all."""

log = logging.getLogger("runner.tracking")


class Tracking:
    """Passes a run on to its tracker until that fails; the failure is reported once."""

    def __init__(self, config: Settings, terminal: Terminal) -> None:
        self._config, self._terminal, self._kind = config, terminal, config.tracker.kind
        self._built = None if config.mode == "check" else config.tracker.build()
        self._tracker: Tracker | None = None

    def begin(self, record: RunRecord) -> None:
        """Begin the run on the tracker. The record keeps what the tracker needs after a resume."""
        document, self._tracker = record.document, self._built
        run = RunStart(
            folder=record.path,
            parameters=dict(flat(masked(self._config.document()))),
            tags={"run_folder": str(record.path), "git_commit": (document["git"] or {}).get("commit", "")},
            kept=document["tracker"].get(self._kind, {}),
            name=self._config.name,
            words=self._config.tags,
            note=self._config.note,
        )

        def begin(tracker: Tracker) -> None:
            kept = tracker.begin(run)
            record.update(tracker={self._kind: kept})
            self._terminal.summary([("tracker", f"{self._kind}: {', '.join(map(str, kept.values()))}")])

        self._report(begin)

    def epoch(self, epoch: int, row: MetricsRow) -> None:
        """Report an epoch, counted from 1."""
        self._report(lambda tracker: tracker.epoch(epoch, row))

    @contextmanager
    def ending(self, folder: Path) -> Iterator[None]:
        """End the run on the tracker after the block, when the record is closed and the page is written."""
        try:
            yield
        finally:
            if self._tracker is not None:
                handler = open_log(folder)  # the record has closed its own
                try:
                    self._report(lambda tracker: tracker.end(_ending(folder)))
                finally:
                    close_log(handler)

    def _report(self, report: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            report(self._tracker)
        except Exception as error:
            self._tracker = None
            reason = shorten((str(error).splitlines() or [""])[0], MOST_CHARACTERS, placeholder=" …")
            self._terminal.note(
                f"tracker={self._kind} failed, and is disabled for the rest of this run: "
                f"{type(error).__name__}: {reason}"
            )
            log.warning("tracker=%s failed, and is disabled for the rest of this run", self._kind, exc_info=error)


def _ending(folder: Path) -> RunEnd:
    document = read_run(folder)
    files = [file for name in FILES if (file := folder / name).exists() and not _holds_secrets(file)]
    return RunEnd(document["status"], dict(_numbers(document["results"])), files)


def _holds_secrets(file: Path) -> bool:
    """Whether a file is the configuration, and has secrets that must not be passed on."""
    return file.name == CONFIG_YAML and any(secret_values(RunFolder(file.parent).config))


def _numbers(results: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in flat(results):
        if is_number(value):
            yield key, value
