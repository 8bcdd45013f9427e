"""Training on tiny data, whatever the loader."""

from contextlib import nullcontext
from dataclasses import replace
from itertools import count

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head, Labels
from runner.data.source import Source
from runner.errors import BadSampleError
from runner.loaders.drawings import class_members
from runner.loaders.kinds import Generator, InMemory, Sequence
from runner.loaders.plan import Plan
from runner.loaders.reader import OnBad
from runner.loaders.rounds import Rounds
from runner.models.base import Task, output_of
from runner.models.compile import compile_model
from runner.models.layers import model_of, precision, scaled_input
from runner.training.loop import fit
from runner.training.settings import Train
from runner.training.setup import Training, TrainingObserver

CODES = np.array([0, 0, 0, 1, 0, 1, 0, 0, 1, 0])
DEFAULTS = {"epochs": 3, "learning_rate": 0.1, "optimizer": {"name": "sgd"}}
LOADERS = {"generator": Generator(), "in_memory": InMemory(workers=1), "sequence": Sequence(workers=2)}


class Points(Source):
    """Ten points around two centres; `spoil` makes the loss of a sample NaN. Samples of `torn` cannot be read."""

    spec = ArraySpec((3,), np.dtype(np.float32))
    ids = tuple(f"point-{number}" for number in range(len(CODES)))

    torn, balanced = (), False

    def __init__(self, mode="sparse"):
        self.labels = Labels((Head("", mode, ("left", "right")),), (CODES,))
        noise = np.random.default_rng(0).normal(size=(len(CODES), 3))
        self.values = np.float32(noise + np.where(CODES, 1.0, -1.0)[:, None])

    def __len__(self):
        return len(CODES)

    def read(self, index, out=None):
        if index in self.torn:
            raise BadSampleError(self.ids[index], "torn")
        out[...] = self.values[index]
        return out

    def spoil(self, index):
        weights = np.where(np.arange(len(CODES)) == index, np.nan, 1).astype(np.float32)
        self.labels = replace(self.labels, weights=weights)


def load(source, kind="sequence", *, shuffle=True):
    """A loader of 3 steps a pass: batches of 4, 4 and 2; of 10 where a sample cannot be read, each a batch."""
    size = 1 if source.torn else 4
    drawing = Rounds.balanced(class_members(source)) if source.balanced and shuffle else None
    plan = Plan(num_samples=len(source), batch_size=size, seed=3, shuffle=shuffle, drawing=drawing)
    loader = LOADERS[kind].build(source, plan)
    loader.handle_bad(OnBad("skip"), lambda *bad: None)
    return loader


def build(source, settings, num_steps=9):
    """A model of one hidden layer and dropout, the same every time."""
    keras.utils.set_random_seed(0)
    task = Task(source.spec, "none", tuple(output_of(head, source.spec.shape) for head in source.labels.heads))
    with precision(settings.precision):
        inputs, x = scaled_input(task.spec, task.scaling)
        hidden = keras.layers.Dropout(0.2)(keras.layers.Dense(4, activation="tanh")(x))
        model = model_of(inputs, hidden, task)
        optimizer = settings.build_optimizer(num_steps)
        compile_model(model, task, optimizer=optimizer, jit_compile=settings.jit_compile)
    return model


BUILT, HOLDERS, DECISIVE = {}, {}, {"optimizer", "learning_rate", "precision", "jit_compile"}


def lend(source, settings):
    """A model as `build` makes it, with functions traced before: that takes two thirds of a short training."""
    key = (build, source.labels.heads[0].mode, settings.model_dump_json(include=DECISIVE))
    if key not in BUILT:
        model = build(source, settings)
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        BUILT[key] = model, [(variable, np.array(variable)) for variable in variables]
    model, begins = BUILT[key]
    keras.utils.set_random_seed(0)
    model.reset_metrics()
    for variable, value in begins:
        variable.assign(value)
    return model


class Trained(TrainingObserver):
    """A training that is over, by an error of the type `ends` if given: its weights, rows, and what it returned."""

    def __init__(self, folder, source, settings, *, kind, validation, on_step=lambda step: None, start=None, ends=None,
                 own_model=False, callbacks=()):  # fmt: skip
        self.folder, self.rows, self.result, self._on_step = folder, [], None, on_step
        self._model = build(source, settings) if own_model else lend(source, settings)
        HOLDERS[id(self._model)] = self
        with load(source, kind) as loader, load(source, kind, shuffle=False) as held_out:
            training = Training(self._model, loader, held_out if validation else None, settings, callbacks=callbacks)
            with pytest.raises(ends) if ends else nullcontext():
                self.result = fit(training, checkpoints=folder, observer=self, start=start)
        self.weights = self._model.get_weights()

    def on_step(self, step):
        self._on_step(step)

    def on_epoch(self, epoch, row):
        self.rows.append(row)

    @property
    def model(self):
        """The model, until another training has it."""
        assert HOLDERS[id(self._model)] is self
        return self._model

    def column(self, name):
        return [row[name] for row in self.rows]


@pytest.fixture
def train(tmp_path):
    """Train on `source` as the settings given by keyword say; no shuffling by Keras, one call after the other.

    Trainings take the same model one after the other, if it is not their `own_model`.
    """
    folders = (tmp_path / str(number) for number in count())

    def run(source=None, *, kind="sequence", validation=False, on_step=lambda step: None, start=None, ends=None,
            folder=None, own_model=False, user_callbacks=(), **settings):  # fmt: skip
        settings = Train.model_validate({**DEFAULTS, **settings})
        return Trained(folder or next(folders), source or Points(), settings, kind=kind, validation=validation,
                       on_step=on_step, start=start, ends=ends, own_model=own_model,
                       callbacks=user_callbacks)  # fmt: skip

    return run


@pytest.fixture(scope="module")
def reference():
    """The weights after the same training as a single `fit` of Keras over batches of the plan, of a new model."""
    known = {}

    def run(**settings):
        name = repr(settings)
        if name not in known:
            known[name] = fit_at_once(**settings)
        return known[name]

    def fit_at_once(**settings):
        source, settings = Points(), Train.model_validate({**DEFAULTS, **settings})
        model = build(source, settings)
        with load(source) as loader:
            batches = [(batch.x, batch.y) for batch in loader.stream(0, 3 * settings.epochs)]
        model.fit((batch for batch in batches), steps_per_epoch=3, epochs=settings.epochs, shuffle=False, verbose=0)
        return model.get_weights()

    return run
