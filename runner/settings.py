"""The whole configuration as one validated model: all keys of YAML files and of the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from runner.choices import AnyData, AnyLoader, AnyModel, AnyTracker
from runner.component import Component, Folder, Line, Lines, Names, Package
from runner.data.dataframe import DataFrame
from runner.data.dataset import Data, NoData
from runner.data.directory import Directory
from runner.data.mix import Mix
from runner.data.pack_format import pyarrow_for
from runner.distribute.settings import Distribute
from runner.errors import DataError
from runner.loaders.settings import Bench
from runner.models.base import output_of, refuse_shared_columns
from runner.packs.settings import PackSettings
from runner.sweeps.settings import SweepSettings
from runner.trackers.base import NoTracker
from runner.training.backend import Backend, package_of
from runner.training.settings import Export, Predict, Train
from runner.user_code import SCRIPT, module_of

Mode = Literal["run", "fit", "evaluate", "predict", "export", "check", "bench", "pack"]
READING: tuple[Mode, ...] = ("check", "bench", "pack")
"""Modes that read the data without a model."""
TRAINING: tuple[Mode, ...] = ("run", "fit")
"""Modes that train a model."""
USING: tuple[Mode, ...] = ("evaluate", "predict", "export")
"""Modes that use the model of an earlier run."""
DRAWING: tuple[Mode, ...] = (*TRAINING, "check", "bench")
"""Modes that read batches of the training split."""
PREDICTING: tuple[Mode, ...] = (*TRAINING, "predict")
"""Modes for which it matters how predictions are written; that of a trained model may be used for it later."""


@dataclass(frozen=True)
class Composed:
    """What settings were composed from: overrides, and the user's own files. Equal settings may differ in it."""

    overrides: tuple[str, ...] = field(default=(), compare=False)
    foreign_files: tuple[Path, ...] = field(default=(), compare=False)


class Settings(Component):
    """The settings of a run: its data, loader, model and training."""

    _composed: Composed = PrivateAttr(default=Composed())

    mode: Mode = "run"
    """What to do: fit, evaluate and predict (`run`), one of these, write a model in other formats (`export`), read the
    data (`check`), time loaders (`bench`), write the data into large files (`pack`)."""

    from_run: Folder | None = None
    """The run whose model and settings `mode=evaluate`, `predict` and `export` use; `latest`: the newest that trained.
    The folder of a sweep over seeds or folds: `predict` writes the mean of its models."""

    resume: Folder | None = None
    """The run to resume in its folder, with its configuration; `latest`: the newest that trained."""

    rerun: Folder | None = None
    """The run to repeat in a new folder, with its configuration and new overrides; `latest` as in `resume`."""

    verify: bool = False
    """Whether to compare the results of `rerun` with that run, bit for bit; exit code 3 if they differ."""

    resume_inexact: bool = False
    """Whether to resume a run although the configuration, the data, the packages or the code have changed."""

    resume_takeover: bool = Field(default=False, exclude=True)
    """Whether to resume a run that seems to run on another host or in another container, which has lost it."""

    debug: Literal["fast", "overfit", "profile"] | None = None
    """A quick try: run one batch of each split (`fast`), memorise one batch (`overfit`), or profile an epoch."""

    split: Literal["train", "validation", "test"] | None = None
    """The split for `mode=evaluate`, `predict` and `export`; null: test, else validation; all samples if they have no
    labels."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of everything random: initial weights, dropout, order of the samples."""

    deterministic: bool = True
    """Whether the backend must use operations that give the same bits every time."""

    backend: Backend = "tensorflow"
    """The framework that Keras computes with."""

    extensions: Names = ()
    """Your modules whose code the configuration may name, in the working directory or installed; command line only."""

    output_dir: Folder | None = Field(default=None, exclude=True)
    """Where runs, sweeps and index.html go, and are looked for; null: $KERAS_RUNNER_OUTPUT_DIR, else outputs."""

    name: Line | None = None
    """A name for lists, pages and trackers; the folder keeps its own."""

    tags: Lines = ()
    """Words to find the run by: `runs list tags=baseline`."""

    note: str | None = None
    """What the run is for, in your words; its page shows it."""

    data: AnyData
    """Where the samples come from."""

    loader: AnyLoader
    """How they reach the model."""

    model: AnyModel
    """What is trained."""

    train: Train
    """How it is trained."""

    distribute: Distribute = Distribute()
    """On which devices it is trained."""

    sweep: SweepSettings = Field(default=SweepSettings(), exclude=True)
    """How the jobs of a sweep (`-m`) run and compare; no part of a job, nor of its config.yaml."""

    bench: Bench = Bench()
    """How `mode=bench` measures loaders."""

    pack: PackSettings = PackSettings()
    """How `mode=pack` writes a pack."""

    export: Export = Export()
    """How `mode=export` writes a model."""

    predict: Predict = Predict()
    """How predictions are written."""

    tracker: AnyTracker = NoTracker()
    """Where else the run is logged."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if (self.data.kind == "none") != (self.loader.kind == "custom"):
            raise ValueError(
                "data=none and loader=custom must go together: the loader's class or function makes the batches; got "
                f"data={self.data.kind} with loader={self.loader.kind}"
            )
        if self.loader.kind == "directory_flow" and self.data.kind == "arrays":
            raise ValueError(
                "loader=directory_flow must read from files, got data=arrays; "
                "choose loader=in_memory, generator or sequence"
            )
        if self.loader.cache != "none" and self.data.kind == "arrays":
            raise ValueError(
                f"loader.cache must be none with data=arrays, got {self.loader.cache}; the arrays are in memory already"
            )
        if self.backend == "tensorflow" and self.deterministic and self.train.jit_compile is True:
            raise ValueError(
                "train.jit_compile must be auto or false with deterministic=true on tensorflow, got true; "
                "Keras turns XLA off in that case; set deterministic=false"
            )
        on_bad = self.data.on_bad if isinstance(self.data, Data) and self.mode in TRAINING else "raise"
        own, loader = bool(self.train.callbacks) and self.mode in TRAINING, self.loader
        unshared = self.distribute.unshared(loader.kind, on_bad, callbacks=own)
        if (problem := self.distribute.problem(self.backend, self.mode) or unshared) is not None:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _extensions_are_listed(self) -> Self:
        groups = {"data": self.data, "loader": self.loader, "model": self.model, "train": self.train}
        named = {f"{group}.{key}": name for group, part in groups.items() for key, name in part.names()}
        foreign = {key: name for key, name in named.items() if module_of(name) not in (SCRIPT, *self.extensions)}
        if foreign:
            modules = dict.fromkeys(module_of(name) or "my_module" for name in named.values())
            raise ValueError(
                f"{' and '.join(foreign)} must be in a module that extensions lists, written my_module.f; got "
                f"{' and '.join(map(repr, foreign.values()))} with extensions=[{', '.join(self.extensions)}]; "
                f"add 'extensions=[{','.join(modules)}]'"
            )
        return self

    @model_validator(mode="after")
    def _samples_are_there(self) -> Self:
        if self.data.kind == "none" and self.mode in READING:
            raise ValueError(f"mode={self.mode} needs samples to read, got data=none; mode=fit checks each batch")
        if self.mode == "pack" and self.pack.to is None:
            raise ValueError("pack.to must be the folder to write to with mode=pack, got null; add pack.to=packed")
        if self.data.kind == "none" and self.debug is not None:
            raise ValueError(
                f"debug must be null with data=none, whose batches cannot be selected, got {self.debug}; "
                "give the class or function less data"
            )
        if self.data.kind == "none" and self.train.class_weight == "balanced":
            raise ValueError(
                "train.class_weight must list its classes with data=none, whose samples are not counted, got balanced; "
                "give train.class_weight={cat: 1.0, dog: 5.0}"
            )
        return self

    @model_validator(mode="after")
    def _draws_fit_the_data(self) -> Self:
        data, draws = self.data, self.loader.balance is not None or self.loader.draw_by is not None
        if isinstance(data, Data) and data.augment.mixes and self.mode in DRAWING:
            from runner.loaders.blend import refuse_unmixable  # few configurations need it

            refuse_unmixable(data)
        if isinstance(data, Mix) or (isinstance(data, Data) and (draws or data.share is not None)):
            from runner.loaders.drawings import refuse_share, refuse_unfit_draws

            refuse_share(data)
            if self.mode in DRAWING:
                refuse_unfit_draws(self.loader, data, class_weight=self.train.class_weight)
        return self

    @model_validator(mode="after")
    def _outputs_have_columns_of_their_own(self) -> Self:
        heads = self.data.named_outputs() if isinstance(self.data, Data) and self.mode in TRAINING else ()
        try:
            refuse_shared_columns(tuple(output_of(head, ()) for head in heads))
        except DataError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _image_sizes_fit(self) -> Self:
        crop = None if isinstance(self.data, NoData) else self.data.augment.crop
        size = getattr(self.data, "target_size", None)
        if crop is not None and size is not None and (crop[0] > size[0] or crop[1] > size[1]):
            raise ValueError(
                f"data.augment.crop must be at most data.target_size=[{size[0]}, {size[1]}], the size of an image, "
                f"got [{crop[0]}, {crop[1]}]; raise data.target_size"
            )
        if self.predict.original_size and self.mode in PREDICTING and not isinstance(self.data, Directory | DataFrame):
            raise ValueError(
                "predict.original_size needs data=directory or data=dataframe, whose image files have a size of their "
                f"own, got data={self.data.kind}; set predict.original_size=false"
            )
        return self

    @model_validator(mode="after")
    def _using_has_a_run_to_use(self) -> Self:
        if self.mode in USING and self.from_run is None:
            raise ValueError(
                f"mode={self.mode} needs the run whose model to use, got no from_run; "
                "add from_run=latest or from_run=RUN_DIR"
            )
        if self.mode not in USING and self.from_run is not None:
            raise ValueError(
                f"from_run must go with mode=evaluate, predict or export, got mode={self.mode}; "
                "add mode=evaluate, or leave from_run out"
            )
        if self.mode not in USING and self.split is not None:
            raise ValueError(f"split must go with mode=evaluate, predict or export, got mode={self.mode}; leave it out")
        return self

    @model_validator(mode="after")
    def _resume_and_debug_go_with_training(self) -> Self:
        if self.resume is not None and self.mode not in TRAINING:
            raise ValueError(f"resume must go with mode=run or mode=fit, got mode={self.mode}; leave one of them out")
        if self.debug is not None and (self.mode not in TRAINING or self.resume is not None):
            other = f"mode={self.mode}" if self.mode not in TRAINING else "resume"
            raise ValueError(f"debug must go with a run that trains from the start, got {other}; leave one of them out")
        return self

    @model_validator(mode="after")
    def _repeating_has_a_run_to_repeat(self) -> Self:
        for key in ("resume_inexact", "resume_takeover"):
            if getattr(self, key) and self.resume is None:
                raise ValueError(f"{key} must go with resume, got no resume; add resume=latest or resume=RUN_DIR")
        if self.rerun is not None and self.resume is not None:
            raise ValueError("rerun and resume must not go together; give only one of them")
        repeats = self.rerun is not None or self.resume is not None  # a resumed run may be a rerun itself
        if self.verify and (not repeats or self.mode in READING):
            other = "no rerun" if not repeats else f"mode={self.mode}, which has no results to compare"
            raise ValueError(f"verify must go with rerun, got {other}; add rerun=RUN_DIR, or leave verify out")
        if self.train.phases:
            from runner.training.in_phase import refuse_unfit_phases

            refuse_unfit_phases(self)
        return self

    @classmethod
    def completed(cls, recorded: dict[str, Any]) -> dict[str, Any]:
        """The configuration of an earlier run, with keys that its version did not know at their defaults.

        One with keys that this version does not know is returned as it is.
        """
        try:
            return cls.model_validate_json(json.dumps(recorded)).document()
        except ValidationError:
            return recorded

    @property
    def composed(self) -> Composed:
        """What these settings were composed from; nothing is known of settings that were made by hand."""
        return self._composed

    def composed_from(self, composed: Composed) -> Self:
        """The same settings, which remember what they were composed from."""
        settings = self.model_copy()
        settings._composed = composed
        return settings

    def packages(self) -> Iterator[Package]:
        """The optional packages of all parts that this run uses; not TensorFlow, which is always a dependency."""
        if self.mode == "export":
            yield from self.export.packages()
        elif self.backend != "tensorflow" and self.mode not in READING:
            yield package_of(self.backend)
        yield from self.data.packages()
        if self.mode == "pack":
            yield pyarrow_for("mode=pack")
        if self.mode not in ("check", "pack"):  # they use no tracker
            yield from self.tracker.packages()
        yield from self.sweep.packages()
