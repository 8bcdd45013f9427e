"""Prediction of masks and arrays over one pass: each is scored, written and forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from runner.batch import Array, Batch
from runner.data.labels import Head
from runner.distribute.devices import Placement
from runner.distribute.exchange import WITHOUT_OTHERS, Exchange
from runner.errors import DataError, RunnerError
from runner.fields import arrays_of
from runner.loaders.loader import NOTHING_READABLE, Loader
from runner.models.base import Output
from runner.records.digests import IdStream, array_digest
from runner.records.mask_files import PREDICTIONS, MaskFiles, UnnamedFile, UnnamedFiles, mask_files, remove
from runner.records.mask_pictures import MaskPictures
from runner.records.mask_scores import MaskScores
from runner.records.original_masks import Original, OriginalMasks
from runner.records.predictions import PREDICTIONS_CSV, mask_cells, prediction_cells, write_prediction_rows

MOST_IN_BYTE = 256
"""Classes whose codes fit into uint8; more take uint16."""


def has_arrays(heads: Iterable[Head]) -> bool:
    """Whether one of the heads is a mask or an array: such predictions must not be held in memory."""
    return any(head.mode == "mask" or head.shape for head in heads)


class ClassChoice(keras.Model):  # type: ignore[misc]
    """A model that gives the most probable class of each pixel in place of probabilities, which are much larger."""

    def __init__(self, model: keras.Model, outputs: Sequence[Output]) -> None:
        super().__init__()
        self._model, self._outputs = model, tuple(outputs)

    def call(self, x: Any) -> Any:
        """The outputs by name; those of masks as class codes, shape `(n, height, width)`."""
        given = self._model(x, training=False)
        by_name = given if isinstance(given, dict) else {self._outputs[0].name: given}
        return {one.name: _chosen(by_name[one.name]) if one.is_mask else by_name[one.name] for one in self._outputs}


def _chosen(probabilities: Any) -> Any:
    dtype = "uint8" if probabilities.shape[-1] <= MOST_IN_BYTE else "uint16"
    return keras.ops.cast(keras.ops.argmax(probabilities, axis=-1), dtype)


class MaskPass:
    """The masks of one head, sample by sample: the sum of their scores, and pictures of a few of them."""

    def __init__(self, head: Head, folder: str = "", resized: OriginalMasks | None = None) -> None:
        self.head, self.pictures, self._folder = head, MaskPictures(head), folder
        self._resized, self._head_of_files = resized, head if resized is None else resized.head
        self.scores: MaskScores | None = None
        """None for data without labels."""

    def document(self) -> dict[str, Any]:
        """The scores for run.json, by names that begin with that of the head."""
        prefix = f"{self.head.name}_" if self.head.name else ""
        return {} if self.scores is None else self.scores.document(self.head.class_names, prefix)

    def score(self, predicted: Array, truth: Array | None) -> MaskScores:
        """The scores of one mask, added to those of all; without a truth only the number of predicted pixels."""
        num_classes = len(self.head.class_names)
        if truth is None:
            return MaskScores.of(predicted, predicted, num_classes, None)
        scores = MaskScores.of(truth, predicted, num_classes, self.head.ignored)
        self.scores = (self.scores or MaskScores.empty(num_classes)) + scores
        return scores

    def join(self, scores: MaskScores | None, pictures: MaskPictures) -> None:
        """Add the scores and pictures of other samples of the same pass."""
        if scores is not None:
            self.scores = (self.scores or MaskScores.empty(len(self.head.class_names))) + scores
        self.pictures.join(pictures)

    def rows(
        self, batch: Batch, predicted: Array, truth: Array | None, files: MaskFiles, first: int
    ) -> Iterator[Cells]:
        """Score, picture and write the masks of a batch, whose first sample is number `first` of the pass."""
        images = next(array for _, array in arrays_of(batch.x) if array.ndim > 2)
        for row, (sample_id, mask) in enumerate(zip(batch.ids, predicted, strict=True)):
            true_mask = None if truth is None else truth[row]
            scores = self.score(mask, true_mask)
            self.pictures.add(first + row, sample_id, images[row], mask, true_mask, scores.mean_iou)
            written = mask if self._resized is None else self._resized.mask_of_file(sample_id, mask)
            file = files.write(self._head_of_files, sample_id, written, folder=self._folder)
            yield Cells(mask_cells(file, written, scores, labelled=truth is not None), (sample_id, array_digest(mask)))


class Cells(NamedTuple):
    """Cells of predictions.csv for one sample, and what they add to the digest of all masks and arrays."""

    cells: Sequence[object]
    digested: tuple[str, ...] = ()


class Segmentation:
    """A pass of a model over samples whose masks or arrays it predicts, perhaps next to others; it can be done once.

    Memory does not grow with the number of samples, but for the names of files. With `original`, files of masks have
    the size of their images; scores and digests are those of the masks that the model predicts. The ranks of a group
    divide the batches of the pass, each with a model of its own; rank 0 gets the whole.
    """

    def __init__(
        self,
        model: keras.Model,
        loader: Loader,
        *,
        heads: tuple[Head, ...],
        outputs: tuple[Output, ...],
        original: Original | None = None,
        exchange: Exchange = WITHOUT_OTHERS,
    ) -> None:
        if loader.plan.shuffle:
            raise RunnerError("predictions need the source's order; build the loader with shuffle=False")
        self._exchange, self._steps = exchange, exchange.rank.steps(len(loader))
        self._model, self._loader, self._place = ClassChoice(model, outputs), loader, Placement.of(model)
        self._heads, self._outputs = heads, outputs
        self._several = sum(head.mode == "mask" or bool(head.shape) for head in heads) > 1
        self._masks = {
            number: MaskPass(
                head,
                head.name if self._several else "",
                None if original is None else OriginalMasks(head, original, loader.source),
            )
            for number, head in enumerate(heads)
            if head.mode == "mask"
        }
        self._digest = IdStream()
        self.num_samples = 0

    def score(self) -> None:
        """Score all samples, and write nothing. Raises `DataError` if no sample can be read."""
        for _, batch, predicted in self._batches():
            targets = self._targets(batch)
            for number, mask_pass in self._masks.items():
                pairs = zip(predicted[self._outputs[number].name], targets[mask_pass.head.name], strict=True)
                for mask, truth in pairs:
                    mask_pass.score(mask, truth)
        self._join()

    def write(self, folder: Path) -> None:
        """Write predictions.csv, and the masks to predictions/, of the run in `folder`.

        All ranks of a group must call it; only rank 0 writes there. Raises `RunnerError` if a file cannot be written,
        `DataError` if no sample can be read.
        """
        if not self._exchange.rank.leads:
            made = self._exchange.own_folder / PREDICTIONS
            remove(made)
            made.mkdir(parents=True)
            self._exchange.gather(self._rows(UnnamedFiles(made)))
            self._join()
            return
        labelled = bool(self._loader.source.labels.heads)
        with mask_files(folder) as files:
            rows = self._written(self._exchange.gather(self._rows(files)), files)
            write_prediction_rows(folder / PREDICTIONS_CSV, self._heads, rows, labelled=labelled)

    @property
    def scores(self) -> dict[str, Any]:
        """The scores of all masks for run.json; none without labels."""
        return {name: value for one in self._masks.values() for name, value in one.document().items()}

    @property
    def digest(self) -> str:
        """The digest of all written masks and arrays."""
        return self._digest.hexdigest()

    def write_pictures(self, folder: Path, split: str) -> None:
        """Write pictures of the worst and best written masks to figures/."""
        for number, mask_pass in self._masks.items():
            mask_pass.pictures.write(folder, split, number)

    def _batches(self) -> Iterator[tuple[int, Batch, Mapping[str, Array]]]:
        """The batches of this rank, each with the number of its first sample, and the outputs of the model by name."""
        steps, size = self._steps, self._loader.plan.batch_size
        for step, batch in zip(steps, self._loader.stream(steps.start, len(steps)), strict=True):
            if len(batch):  # 0 where all its samples are bad
                predicted = self._model.predict_on_batch(self._place.put(batch.x) if self._place else batch.x)
                yield step * size, batch, predicted
                self.num_samples += len(batch)

    def _join(self) -> None:
        """Add what the other ranks have counted. Raises `DataError` if no sample can be read."""
        own = {number: (one.scores, one.pictures) for number, one in self._masks.items()}
        for masks, num_samples in islice(self._exchange.gather([(own, self.num_samples)]), 1, None):
            self.num_samples += num_samples
            for number, counted in masks.items():
                self._masks[number].join(*counted)
        if self._exchange.rank.leads and not self.num_samples:
            raise DataError(NOTHING_READABLE)

    def _written(self, rows: Iterable[Sequence[Cells]], files: MaskFiles) -> Iterator[Iterable[object]]:
        """The rows of predictions.csv, whose arrays are digested and whose files have their names."""
        for row in rows:
            self._digest.update(chain.from_iterable(part.digested for part in row))
            cells = chain.from_iterable(part.cells for part in row)
            yield (files.take(cell) if isinstance(cell, UnnamedFile) else cell for cell in cells)
        self._join()

    def _rows(self, files: MaskFiles) -> Iterator[Sequence[Cells]]:
        """The rows of predictions.csv that this rank predicts, in the order of the loader."""
        for first, batch, predicted in self._batches():
            targets = self._targets(batch)
            columns: list[Iterable[Cells]] = []
            for number, (head, output) in enumerate(zip(self._heads, self._outputs, strict=True)):
                given, truth = predicted[output.name], targets.get(head.name)
                if mask_pass := self._masks.get(number):
                    columns.append(mask_pass.rows(batch, given, truth, files, first))
                elif head.shape:
                    columns.append(self._array_rows(head, batch, given, truth, files))
                else:
                    columns.append(map(Cells, zip(*_cells(head, batch, given, truth), strict=True)))
            for sample_id, *parts in zip(batch.ids, *columns, strict=True):
                yield [Cells([sample_id]), *parts]

    def _array_rows(
        self, head: Head, batch: Batch, predicted: Array, truth: Array | None, files: MaskFiles
    ) -> Iterator[Cells]:
        """Write the predicted arrays of a batch."""
        folder = head.name if self._several else ""
        for row, (sample_id, array) in enumerate(zip(batch.ids, predicted, strict=True)):
            error = [] if truth is None else [np.square(truth[row].astype(np.float64) - array).mean()]
            file = files.write_array(sample_id, array, folder=folder)
            yield Cells([*error, file], (sample_id, array_digest(array)))

    def _targets(self, batch: Batch) -> Mapping[str, Array]:
        """The targets of a batch by the names of their heads; none without labels."""
        if batch.y is None:
            return {}
        return batch.y if isinstance(batch.y, dict) else {self._heads[0].name: batch.y}


def _cells(head: Head, batch: Batch, output: Array, target: Array | None) -> list[Iterable[object]]:
    """The columns of a head that is no mask."""
    if head.mode == "input":
        sample = next(array for _, array in arrays_of(batch.x))
        return prediction_cells(head, np.square(sample - output).mean(axis=tuple(range(1, output.ndim))), None)
    return prediction_cells(head, output, None if target is None else _codes(head, target))


def _codes(head: Head, target: Array) -> Array:
    """Targets of a batch as they are in a column of `Labels`."""
    if head.mode == "raw":
        return target
    if head.mode == "categorical":
        codes: Array = target.argmax(axis=-1)
        return codes
    return np.rint(target if head.mode == "multi_label" else target.ravel()).astype(np.int64)
