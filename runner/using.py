"""`mode=evaluate` and `mode=predict`: the model of an earlier run, on any data with its classes."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.account import bad_lines, cache_lines, data_lines, loader_lines, model_lines
from runner.choosing import choose_loader
from runner.errors import DataError
from runner.loaders.cache import cache_section
from runner.loaders.loader import Loader
from runner.loaders.memory import available_bytes, refuse_too_large
from runner.loaders.settings import LoaderSettings
from runner.loading import as_delivered, needed_bytes, open_dataset, open_loader, open_notes
from runner.picturing import picture_data, picture_worst
from runner.records.data_section import data_section
from runner.records.heads import heads_document
from runner.records.predictions import NAME as PREDICTIONS_CSV
from runner.records.record import RunRecord
from runner.records.trained import TrainedRun
from runner.settings import Settings
from runner.sources.data import Dataset
from runner.sources.joined import join
from runner.stages.backend import start_backend
from runner.terminal import Terminal

if TYPE_CHECKING:
    import keras

ALL = "all"
"""What data is called that is read whole, whatever its splits."""


class Use:
    """A run that uses a model: the data told and recorded, then one stage."""

    def __init__(self, config: Settings, trained: TrainedRun, record: RunRecord, terminal: Terminal) -> None:
        self.config, self.trained, self.record, self.terminal = config, trained, record, terminal

    def stages(self) -> Dataset:
        """Open the data, load the model, then evaluate or predict; the data.

        Raises `DataError` where the data does not fit the model, or has no labels to evaluate on.
        """
        ready_made = self.config.loader.kind == "custom"
        if ready_made:
            self._start_backend()
        with self.record.stage("data"):
            dataset = as_delivered(self.config, self._open())
            split = self._split(dataset)
            settings = self._account(dataset, split)
            picture_data(self.record.path, replace(dataset, splits={split: dataset.splits[split]}))
        if not ready_made:
            self._start_backend()
        notes = open_notes(self.config, dataset, self.record.path, self.terminal.note)
        with ExitStack() as closing:
            closing.callback(lambda: self.record.update(data=notes.section()))
            loader = closing.enter_context(open_loader(self.config, settings, dataset, split, notes=notes))
            cache = cache_section((loader,))
            self.terminal.account(cache_lines(cache))
            self.record.update(data={"cache": cache})
            with self.record.stage("load"):
                model = self._load()
            with self.record.stage(self.config.mode):
                (self._evaluate if self.config.mode == "evaluate" else self._predict)(model, loader, split)
        self.terminal.account(bad_lines(self.config, dataset, notes.bad.counts()))
        return dataset

    def _start_backend(self) -> None:
        with self.record.stage("import"), self.terminal.waiting(f"starting {self.config.backend}"):
            start_backend(self.config.backend, seed=self.config.seed, deterministic=self.config.deterministic)

    def _open(self) -> Dataset:
        """The data in the model's words; as one part where it has no labels and no part was asked for."""
        config, heads = self.config, self.trained.heads
        dataset = open_dataset(config, heads)
        if dataset.heads or config.split is not None or dataset.batches is not None:
            return dataset
        undivided = config.data.model_copy(update={"validation_split": 0.0, "test_split": 0.0})
        dataset = open_dataset(config.model_copy(update={"data": undivided}), heads)
        return replace(dataset, splits={ALL: join(tuple(dataset.splits.values()))}, notes=())

    def _split(self, dataset: Dataset) -> str:
        """The part to read: as asked for, else the one that was held back from training."""
        asked, there = self.config.split, list(dataset.splits)
        if asked is not None and asked not in there:
            raise DataError(f"split must be one of {', '.join(there)}, got {asked!r}: the data has no such split")
        split: str | None = asked or next((name for name in (ALL, "test", "validation") if name in there), None)
        if split is None:
            raise DataError(
                "the data has no test or validation split; add split=train to read what the model may have learnt from"
            )
        if asked is None and split == "validation":
            self.terminal.note("the data has no test split: reading validation")
        return split

    def _account(self, dataset: Dataset, split: str) -> LoaderSettings:
        """Tell and record what will be read and how; refuse what the model or the memory cannot take."""
        config, available = self.config, available_bytes()
        choice = choose_loader(config, dataset, (split,), available)
        needed = needed_bytes(config, choice.settings, dataset, (split,))
        self.terminal.account(data_lines(config, dataset, available))
        self.terminal.account(loader_lines(choice, needed))
        self.record.update(loader=choice.document(), data=data_section(dataset))
        if config.mode == "evaluate" and not dataset.splits[split].labels.heads:
            raise DataError("mode=evaluate needs labels, and the data has none; use mode=predict")
        self._refuse_other_samples(dataset)
        refuse_too_large(needed, available, kind=choice.settings.kind, cached=choice.settings.cache == "memory")
        return choice.settings

    def _refuse_other_samples(self, dataset: Dataset) -> None:
        before, spec = self.trained.document["data"], dataset.spec
        if list(spec.shape) != before["shape"]:
            raise DataError(
                f"the model of {self.trained.folder} takes samples of shape {_shape(before['shape'])}, got "
                f"{_shape(spec.shape)}; for images set data.target_size and data.color_mode as in that run"
            )
        # The model scales what it was trained on: values from 0 to 255, or others.
        if str(spec.dtype) != before["dtype"] and "uint8" in (str(spec.dtype), before["dtype"]):
            raise DataError(
                f"the model of {self.trained.folder} takes samples of {before['dtype']}, got {spec.dtype}; "
                "give samples in the range of those it was trained on"
            )

    def _load(self) -> keras.Model:
        from runner.stages.load import load
        from runner.stages.save import model_digest

        self.config.model.import_code()
        model = load(self.trained.model_file)
        self.terminal.account(model_lines(self.trained, model.count_params()))
        used = {"path": self.trained.folder, "model": self.trained.model, "weights": model_digest(model)}
        self.record.update(from_run={**used, "heads": heads_document(self.trained.heads)})
        return model

    def _evaluate(self, model: keras.Model, loader: Loader, split: str) -> None:
        from runner.stages.evaluate import evaluate

        results = evaluate(model, loader)
        self.terminal.results(split, results)
        self.record.update(results={"evaluate": {"split": split, "model": self.trained.model, **results}})

    def _predict(self, model: keras.Model, loader: Loader, split: str) -> None:
        from runner.models.outputs import output_of
        from runner.stages.predict import predict_to

        file, heads = self.record.path / PREDICTIONS_CSV, self.trained.heads
        outputs = tuple(output_of(head, loader.spec.shape) for head in heads)
        predicted = predict_to(file, model, loader, heads=heads, outputs=outputs)
        picture_worst(self.record.path, split, predicted, heads)
        self.terminal.account([("predicted", f"{len(predicted):,} samples ({split})")])
        self.record.update(results={"predict": {"split": split, "model": self.trained.model}})


def _shape(shape: tuple[int, ...] | list[int]) -> str:
    return "×".join(map(str, shape))
