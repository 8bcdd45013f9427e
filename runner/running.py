"""A run, from its settings to its record: assembles the parts, runs the stages, closes the record whatever happens."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.account import (
    bad_lines,
    cache_lines,
    cost_lines,
    data_lines,
    loader_lines,
    origin_lines,
    training_lines,
)
from runner.benching import bench_loaders
from runner.checking import check_data
from runner.choosing import choose_loader
from runner.debugging import debug_lines, debugged
from runner.errors import DataError
from runner.loaders.advice import Means, advise
from runner.loaders.auto import num_processors
from runner.loaders.cache import cache_section
from runner.loaders.clock import Clock, Wait
from runner.loaders.loader import Loader
from runner.loaders.memory import available_bytes, refuse_too_large
from runner.loaders.settings import LoaderSettings
from runner.loading import as_delivered, needed_bytes, open_dataset, open_loader, open_notes
from runner.models.settings import Task, task_of
from runner.packages import require
from runner.picturing import picture_data, picture_wait, picture_worst
from runner.records.config_yaml import write_config
from runner.records.contents import FOLDER as CONTENTS
from runner.records.data_section import data_section
from runner.records.figures import FOLDER as FIGURES
from runner.records.folder import new_run_folder, point_latest
from runner.records.metrics import MetricsTable, read_metrics
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.record import RunRecord
from runner.records.resumable import ResumableRun
from runner.records.state import State, drop_states, read_state
from runner.records.trained import read_trained
from runner.reports.page import AT_THE_END_BYTES, write_report
from runner.resuming import refuse_other_data, resumable
from runner.settings import READING, Settings
from runner.sources.data import Dataset
from runner.sources.source import has_files
from runner.stages.backend import require_backend, start_backend
from runner.stages.determinism import naming_refusals
from runner.terminal import Pace, Terminal
from runner.tracking import Tracking
from runner.using import Use
from runner.verifying import repeated, verify

if TYPE_CHECKING:
    import keras

    from runner.stages.overfit import Attempt

MODEL, CHECKPOINTS = "model.keras", "checkpoints"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where a run comes from: what was typed, what it overrides, and the user's own files that took part."""

    argv: Sequence[str] = ()
    overrides: Sequence[str] = ()
    foreign_files: tuple[Path, ...] = ()


def build_loader(config: Settings, split: str = "train") -> Loader:
    """The loader of one split: `train`, `validation` or `test`; only `train` is shuffled.

    Close it, or use it in a `with` block, to stop its workers. Raises `DataError` if the data has no such split, or
    if the loader needs more memory than there is.
    """
    dataset, available = as_delivered(config, open_dataset(config)), available_bytes()
    if split not in dataset.splits:
        raise DataError(f"split must be one of {', '.join(dataset.splits)}, got {split!r}")
    settings = choose_loader(config, dataset, (split,), available).settings
    needed = needed_bytes(config, settings, dataset, (split,))
    refuse_too_large(needed, available, kind=settings.kind, cached=settings.cache == "memory")
    return open_loader(config, settings, dataset, split, training=split == "train")


def run(config: Settings, *, folder: Path | None = None, origin: Origin = Origin()) -> RunRecord:
    """Do what `config.mode` says and return the closed record, whose `path` is the run's folder.

    Without a `folder` a new one is made below `outputs/runs`; a run that is resumed keeps its own. An error closes
    the record as failed, Ctrl-C as interrupted, and is raised again. Raises `DataError`, after the record was closed
    as completed, if `mode=check` found something wrong with the data, and `VerifyError` if `verify` found a difference.
    """
    asked, config = config, debugged(config)
    require(config.packages())
    if config.mode not in READING:
        require_backend(config.backend)
    resumed = resumable(config)
    first = repeated(config, resumed)
    trained = None if config.from_run is None else read_trained(config.from_run)
    folder = resumed.folder if resumed else folder or new_run_folder()
    tracking = Tracking(config, terminal := Terminal())
    findings, difference = None, None
    with (
        tracking.ending(folder),
        _reporting(config, folder, terminal),
        _recording(config, folder, origin, resumed) as record,
    ):
        terminal.path("run", record.path)
        if asked.debug is not None:
            told = list(debug_lines(asked, config))
            terminal.account(told)
            record.update(debug={"mode": asked.debug, "changed": [text for _, text in told[1:]]})
        terminal.account(origin_lines(origin.foreign_files))
        terminal.account([("rerun", f"of {config.rerun}")] if config.rerun is not None else [])
        tracking.begin(record)
        if config.mode == "check":
            findings = check_data(config, record, terminal)
        elif config.mode == "bench":
            bench_loaders(config, record, terminal)
        else:
            used = None if trained is None else Use(config, trained, record, terminal)
            dataset = (used or _Run(config, record, terminal, resumed, tracking)).stages()
            if first is not None:
                difference = verify(config, first, record, dataset, terminal)
    terminal.path("record", record.path)
    if findings:
        raise DataError(findings)
    if difference:
        raise difference
    return record


@contextmanager
def _recording(config: Settings, folder: Path, origin: Origin, resumed: ResumableRun | None) -> Iterator[RunRecord]:
    """A record that is closed however the block ends."""
    if resumed is not None:
        how = {"inexact": config.resume_inexact, "epochs": config.train.epochs}
        record = RunRecord.reopen(folder, resumed.document, **vars(origin), **how)
    else:
        write_config(folder, config.document())
        seeds = {"seed": config.seed, **config.data.model_dump(include={"split_seed"})}
        rerun = {} if config.rerun is None else {"path": config.rerun}
        record = RunRecord.open(folder, backend=config.backend, seeds=seeds, rerun=rerun, **vars(origin))
    if folder.parent.name == "runs":
        point_latest(folder.parent.parent, folder)
    try:
        yield record
    except KeyboardInterrupt as interrupt:
        log.warning("interrupted")
        record.close("interrupted", interrupt)
        raise
    except BaseException as error:
        log.error("the run failed", exc_info=error)
        record.close("failed", error)
        raise
    record.close("completed")


@contextmanager
def _reporting(config: Settings, folder: Path, terminal: Terminal) -> Iterator[None]:
    """A page on the run once its record is closed, however the block ends. No run fails for its page."""
    try:
        yield
    finally:
        if config.mode not in READING:
            try:
                terminal.path("report", write_report(folder, most_bytes=AT_THE_END_BYTES))
            except Exception as error:
                terminal.note(f"no report was written: {type(error).__name__}: {error}")


class _Run:
    """The stages of one run, one after the other, each of them into the record."""

    def __init__(
        self,
        config: Settings,
        record: RunRecord,
        terminal: Terminal,
        resumed: ResumableRun | None,
        tracking: Tracking,
    ) -> None:
        self.config, self.record, self.terminal, self.resumed = config, record, terminal, resumed
        self.tracking = tracking
        self.loaders: dict[str, Loader] = {}

    def stages(self) -> Dataset:
        """Open the data, build the model, then fit, evaluate and predict; the data."""
        ready_made = self.config.loader.kind == "custom"
        if ready_made:
            self._start_backend()  # what the user's object draws from NumPy follows from the seed
        with self.record.stage("data"):
            dataset, settings = self._open_data()
            if self.resumed is not None:
                self._take_away_results()
            picture_data(self.record.path, dataset)
        if not ready_made:
            self._start_backend()
        notes = open_notes(self.config, dataset, self.record.path, self.terminal.note)
        with naming_refusals(deterministic=self.config.deterministic), ExitStack() as closing:
            closing.callback(lambda: self.record.update(data=notes.section()))
            for split in dataset.splits:
                loader = open_loader(self.config, settings, dataset, split, training=split == "train", notes=notes)
                self.loaders[split] = closing.enter_context(loader)
            cache = cache_section(self.loaders.values())
            self.terminal.account(cache_lines(cache))
            self.record.update(data={"cache": cache})
            with self.record.stage("build"):
                task, model = self._build_model(dataset)
            with self.record.stage("fit"):
                self._fit(task, model, settings)
            if self.config.mode == "run":
                self._evaluate_and_predict(dataset, task, model)
        self.terminal.account(bad_lines(self.config, dataset, notes.bad.counts()))
        return dataset

    def _start_backend(self) -> None:
        with self.record.stage("import"), self.terminal.waiting(f"starting {self.config.backend}"):
            start_backend(self.config.backend, seed=self.config.seed, deterministic=self.config.deterministic)

    def _open_data(self) -> tuple[Dataset, LoaderSettings]:
        config, available = self.config, available_bytes()
        dataset = as_delivered(config, open_dataset(config))
        choice = choose_loader(config, dataset, tuple(dataset.splits), available)
        needed = needed_bytes(config, choice.settings, dataset, tuple(dataset.splits))
        self.terminal.account(data_lines(config, dataset, available))
        self.terminal.account(loader_lines(choice, needed))
        data = data_section(dataset)
        if self.resumed is not None:
            refuse_other_data(config, self.resumed, data["fingerprint"])
            if data["fingerprint"] != self.resumed.document["data"].get("fingerprint"):
                shutil.rmtree(self.record.path / CONTENTS, ignore_errors=True)
        self.record.update(loader=choice.document(), data=data)
        refuse_too_large(needed, available, kind=choice.settings.kind, cached=choice.settings.cache == "memory")
        return dataset, choice.settings

    def _build_model(self, dataset: Dataset) -> tuple[Task, keras.Model]:
        from runner.models.compiled import compile_model
        from runner.models.precision import precision

        train, task = self.config.train, task_of(dataset, self.config.data.scale, self.config.model)
        steps = train.steps_per_epoch or len(self.loaders["train"])
        with precision(train.precision):
            model = self.config.model.build(task)
            by_user = model.compiled
            if not by_user:
                optimizer = train.build_optimizer(train.epochs * steps)
                compile_model(model, task, optimizer=optimizer, jit_compile=train.jit_compile)
        self.terminal.account(training_lines(self.config, steps, model.count_params(), compiled_by_user=by_user))
        return task, model

    def _fit(self, task: Task, model: keras.Model, settings: LoaderSettings) -> None:
        from runner.stages.evaluate import evaluate
        from runner.stages.fit import Observer, Training, fit
        from runner.stages.overfit import ENOUGH, Attempt
        from runner.stages.profile import NAME as PROFILE
        from runner.stages.profile import profile_lines, profiled
        from runner.stages.save import save

        loaders, path = self.loaders, self.record.path
        overfits, profiles = self.config.debug == "overfit", self.config.debug == "profile"
        first_loss = evaluate(model, loaders["train"])["loss"] if overfits else None
        training = Training(
            model,
            loaders["train"],
            loaders.get("validation"),
            self.config.train,
            enough_loss=-math.inf if first_loss is None else ENOUGH * first_loss,
        )
        metrics, start = MetricsTable(path), None
        if self.resumed is not None:
            start = self._state(path, metrics, training.steps_per_epoch)
        epochs, steps, clock = self.config.train.epochs, training.steps_per_epoch, loaders["train"].clock
        pace = Pace(settings.batch_size, lambda: clock.waited_seconds)
        with self.terminal.training(epochs=epochs, steps_per_epoch=steps, pace=pace) as view:

            def on_epoch(epoch: int, row: dict[str, float | None]) -> None:
                metrics.append(epoch, row)
                view.on_epoch(epoch, row)
                self.tracking.epoch(epoch, row)

            def on_weights(digests: list[str | None]) -> None:
                self.record.update(digests={"weights_per_epoch": digests})

            observer = Observer(view.on_step, on_epoch, on_weights)
            with profiled(path / PROFILE) if profiles else nullcontext():
                result = fit(training, checkpoints=path / CHECKPOINTS, observer=observer, start=start)
        wait = result.pop("wait")
        if clock.waited_seconds:  # not where all was done before a resume
            result["wait"] = self._tell_wait(wait, settings, clock)
        self.terminal.account(cost_lines(result))
        digests = {**result.pop("digests"), "weights": save(model, path / MODEL)}
        if self.config.loader.kind == "custom":
            digests["ids"] = None  # positions in a pass tell nothing
        self.record.update(digests=digests, results={"fit": result})
        if profiles:
            self.terminal.account(profile_lines(path / PROFILE))
        if first_loss is not None:
            last_loss = float(read_metrics(path)[-1]["loss"] or 0.0)
            self._tell_overfit(Attempt(result["steps"], first_loss, last_loss), task, model)

    def _tell_overfit(self, attempt: Attempt, task: Task, model: keras.Model) -> None:
        from runner.stages.overfit import verdict

        told = list(verdict(attempt, model, self.loaders["train"].batch(0, 0), task.outputs))
        self.terminal.account([("" if number else "overfit", text) for number, text in enumerate(told)])
        self.record.update(results={"overfit": {**vars(attempt), "succeeded": attempt.succeeded, "told": told}})

    def _tell_wait(self, wait: Wait, settings: LoaderSettings, clock: Clock) -> dict[str, object]:
        """What run.json says of the wait, with advice, which is printed as well; and its picture, step by step."""
        source = self.loaders["train"].source
        all_bytes = len(source) * source.spec.num_bytes
        means = Means(
            loader=settings,
            processors=num_processors(),
            epochs=self.config.train.epochs,
            all_bytes=all_bytes,
            available_bytes=available_bytes(),
            has_files=has_files(source),
        )
        advice = advise(wait, means)
        self.terminal.account([("wait", advice)])
        picture_wait(self.record.path, clock.timeline.lanes())
        return {**wait.document(), "advice": advice}

    def _state(self, path: Path, metrics: MetricsTable, steps_per_epoch: int) -> State | None:
        """The state to go on from; what was written after it is taken away."""
        start = read_state(path / CHECKPOINTS)
        step = start.step if start else 0
        epoch, done = divmod(step, steps_per_epoch)
        where = (
            f"epoch {epoch + 1}, after {done:,} of {steps_per_epoch:,} steps"
            if start
            else "the beginning: no state was written"
        )
        self.terminal.account([("resume", where)])
        metrics.go_on(epoch)
        drop_states(path / CHECKPOINTS, after=step)
        return start

    def _take_away_results(self) -> None:
        """What is made anew at the end, or of the data as it is now."""
        for name in (MODEL, PREDICTIONS_CSV):
            (self.record.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.record.path / FIGURES, ignore_errors=True)

    def _evaluate_and_predict(self, dataset: Dataset, task: Task, model: keras.Model) -> None:
        from runner.stages.evaluate import evaluate
        from runner.stages.predict import predict_to

        split = next((name for name in ("test", "validation") if name in dataset.splits), None)
        if split is None:
            self.terminal.note("the data has no test or validation split: nothing to evaluate")
            return
        if split != "test":
            self.terminal.note("the data has no test split: evaluating on validation")
        loader, file = self.loaders[split], self.record.path / PREDICTIONS_CSV
        with self.record.stage("evaluate"):
            results = evaluate(model, loader)
        with self.record.stage("predict"):
            predicted = predict_to(file, model, loader, heads=dataset.heads, outputs=task.outputs)
            picture_worst(self.record.path, split, predicted, dataset.heads)
        self.terminal.results(split, results)
        self.record.update(results={"evaluate": {"split": split, **results}, "predict": {"split": split}})
