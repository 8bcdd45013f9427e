"""A run, from its settings to its record: assembles the parts, runs the stages, closes the record whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.account import cache_lines, data_lines, loader_lines, origin_lines, training_lines
from runner.checking import check_data
from runner.errors import DataError
from runner.loaders.cache import cache_section
from runner.loaders.loader import Loader
from runner.loaders.memory import available_bytes, refuse_too_large
from runner.loading import needed_bytes, open_loader
from runner.models.settings import Task, task_of
from runner.records.config_yaml import write_config
from runner.records.data_section import data_section
from runner.records.folder import new_run_folder, point_latest
from runner.records.metrics import MetricsTable
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.record import RunRecord
from runner.records.trained import read_trained
from runner.settings import Settings
from runner.sources.data import Dataset
from runner.stages.backend import require_backend, start_backend
from runner.terminal import Terminal
from runner.using import Use

if TYPE_CHECKING:
    import keras

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
    dataset = config.data.open()
    if split not in dataset.splits:
        raise DataError(f"split must be one of {', '.join(dataset.splits)}, got {split!r}")
    refuse_too_large(
        needed_bytes(config, dataset, (split,)),
        available_bytes(),
        kind=config.loader.kind,
        cached=config.loader.cache == "memory",
    )
    return open_loader(config, dataset, split, training=split == "train")


def run(config: Settings, *, folder: Path | None = None, origin: Origin = Origin()) -> RunRecord:
    """Do what `config.mode` says and return the closed record, whose `path` is the run's folder.

    Without a `folder` a new one is made below `outputs/runs`. An error closes the record as failed, Ctrl-C as
    interrupted, and is raised again. Raises `DataError`, after the record was closed as completed, if `mode=check`
    found something wrong with the data.
    """
    if config.mode != "check":
        require_backend(config.backend)
    trained = None if config.from_run is None else read_trained(config.from_run)
    folder = new_run_folder() if folder is None else folder
    terminal, findings = Terminal(), None
    with _recording(config, folder, origin) as record:
        terminal.path("run", record.path)
        terminal.account(origin_lines(origin.foreign_files))
        if config.mode == "check":
            findings = check_data(config, record, terminal)
        elif trained is not None:
            Use(config, trained, record, terminal).stages()
        else:
            _Run(config, record, terminal).stages()
        terminal.path("record", record.path)
    if findings:
        raise DataError(findings)
    return record


@contextmanager
def _recording(config: Settings, folder: Path, origin: Origin) -> Iterator[RunRecord]:
    """A record that is closed however the block ends."""
    write_config(folder, config.document())
    seeds = {"seed": config.seed, "split_seed": config.data.split_seed}
    record = RunRecord.open(folder, backend=config.backend, seeds=seeds, **vars(origin))
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


class _Run:
    """The stages of one run, one after the other, each of them into the record."""

    def __init__(self, config: Settings, record: RunRecord, terminal: Terminal) -> None:
        self.config, self.record, self.terminal = config, record, terminal
        self.loaders: dict[str, Loader] = {}

    def stages(self) -> None:
        """Open the data, build the model, then fit, evaluate and predict."""
        with self.record.stage("data"):
            dataset = self._open_data()
        with self.record.stage("import"), self.terminal.waiting(f"starting {self.config.backend}"):
            start_backend(self.config.backend, seed=self.config.seed, deterministic=self.config.deterministic)
        with ExitStack() as closing:
            for split in dataset.splits:
                loader = open_loader(self.config, dataset, split, training=split == "train")
                self.loaders[split] = closing.enter_context(loader)
            cache = cache_section(self.loaders.values())
            self.terminal.account(cache_lines(cache))
            self.record.update(data={"cache": cache})
            with self.record.stage("build"):
                task, model = self._build_model(dataset)
            with self.record.stage("fit"):
                self._fit(task, model)
            if self.config.mode == "run":
                self._evaluate_and_predict(dataset, task, model)

    def _open_data(self) -> Dataset:
        config, dataset, available = self.config, self.config.data.open(), available_bytes()
        needed = needed_bytes(config, dataset, tuple(dataset.splits))
        self.terminal.account(data_lines(config, dataset, available))
        self.terminal.account(loader_lines(config.loader, needed))
        self.record.update(loader=config.loader.normalised().document(), data=data_section(dataset))
        refuse_too_large(needed, available, kind=config.loader.kind, cached=config.loader.cache == "memory")
        return dataset

    def _build_model(self, dataset: Dataset) -> tuple[Task, keras.Model]:
        from runner.models.compiled import compile_model
        from runner.models.precision import precision

        train, task = self.config.train, task_of(dataset, self.config.data.scale, self.config.model)
        steps = train.steps_per_epoch or len(self.loaders["train"])
        with precision(train.precision):
            model = self.config.model.build(task)
            optimizer = train.build_optimizer(train.epochs * steps)
            compile_model(model, task, optimizer=optimizer, jit_compile=train.jit_compile)
        self.terminal.account(training_lines(self.config, steps, model.count_params()))
        return task, model

    def _fit(self, task: Task, model: keras.Model) -> None:
        from runner.stages.fit import Observer, Training, fit
        from runner.stages.save import save

        loaders, path = self.loaders, self.record.path
        training = Training(model, task.outputs, loaders["train"], loaders.get("validation"), self.config.train)
        metrics = MetricsTable(path)
        with self.terminal.training(epochs=self.config.train.epochs, steps_per_epoch=training.steps_per_epoch) as view:

            def on_epoch(epoch: int, row: dict[str, float | None]) -> None:
                metrics.append(epoch, row)
                view.on_epoch(epoch, row)

            result = fit(training, checkpoints=path / "checkpoints", observer=Observer(view.on_step, on_epoch))
        digests = {"ids": result.pop("ids"), "weights": save(model, path / "model.keras")}
        self.record.update(digests=digests, results={"fit": result})

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
            predict_to(file, model, loader, heads=dataset.heads, outputs=task.outputs)
        self.terminal.results(split, results)
        self.record.update(results={"evaluate": {"split": split, **results}, "predict": {"split": split}})
