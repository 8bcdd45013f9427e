"""`train.class_weight`: how much each class counts in the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from runner.batch import Array, Batch, Targets
from runner.data.labels import Head, Labels
from runner.errors import ConfigurationError
from runner.feeds.targets import Encode, as_they_are
from runner.messages import nearest

CODED = ("categorical", "sparse", "binary", "mask")
"""Class modes whose targets are one class per sample or pixel."""

MASKS_NDIM = 3


@dataclass(frozen=True)
class ClassWeights:
    """Weights by class code, shape `(classes,)`, float32; a call returns the weights of a batch's samples or pixels.

    They replace Keras's `class_weight`, which Keras refuses with a generator and ignores with a data adapter. As with
    Keras, the loss is weighted, but neither metrics nor validation are.
    """

    by_code: Array
    mixed: bool = False
    """Whether targets are shares of classes: a sample then weighs the mean of its classes."""

    def __call__(self, batch: Batch) -> Array:
        """Weights of the batch's samples, shape `(n,)`, or of the pixels of its masks, shape `(n, height, width)`.

        They are float32: the class's weight times the sample's own weight.
        """
        weights: Array
        targets = np.asarray(batch.y)
        if self.mixed:
            shares = targets if targets.ndim == 2 else np.stack([1 - targets, targets], axis=1)
            weights = shares @ self.by_code
            return weights if batch.sample_weight is None else weights * batch.sample_weight
        if targets.ndim == MASKS_NDIM:
            codes = targets
        else:
            one_hot = targets.ndim == 2 and targets.shape[1] > 1
            codes = targets.argmax(axis=-1) if one_hot else targets.astype(np.int64).ravel()
        # Clipped, because the code of ignored pixels is no class; the loss leaves them out whatever they weigh.
        weights = self.by_code.take(codes, mode="clip")
        return weights if batch.sample_weight is None else weights * batch.sample_weight


def sample_weights(
    given: Literal["balanced"] | Mapping[str, float] | None,
    labels: Labels,
    pixels: Array | None,
    encode: Encode,
    *,
    mixed: bool = False,
) -> Callable[[Batch], Targets]:
    """The weights of a batch's samples in the loss: those of their classes, if any are `given`, times their own.

    `encode` changes targets for the loss; `mixed` as in `ClassWeights`. Raises `ConfigurationError` as `class_weights`,
    and with the loss dice.
    """
    if given is None:
        return lambda batch: batch.sample_weight
    if encode is not as_they_are:
        raise ConfigurationError(
            "train.class_weight must be null with the loss dice, which weighs all classes alike; leave one of them out"
        )
    return replace(class_weights(given, labels, pixels), mixed=mixed)


def class_weights(
    given: Literal["balanced"] | Mapping[str, float], labels: Labels, pixels: Array | None = None
) -> ClassWeights:
    """The weights for training on `labels`; classes that are not in `given` count 1.

    `balanced` is n / (classes · count), as in scikit-learn's `compute_class_weight`; classes without a training sample
    do not count. For masks, `pixels` are the counts, as `count_pixels` returns them. Raises `ConfigurationError` if the
    data has no classes, several heads, or other classes.
    """
    head = _only_head(labels)
    if given == "balanced":
        num_classes = len(head.class_names)
        return ClassWeights(
            _balanced(np.bincount(labels.columns[0], minlength=num_classes) if pixels is None else pixels)
        )
    _refuse_unknown(given, head)
    return ClassWeights(np.array([given.get(name, 1.0) for name in head.class_names], np.float32))


def _only_head(labels: Labels) -> Head:
    if len(labels.heads) == 1 and labels.heads[0].mode in CODED:
        return labels.heads[0]
    got = ", ".join(f"{head.name or 'one'}: {head.mode}" for head in labels.heads) or "no target"
    raise ConfigurationError(
        f"train.class_weight needs data with one target of class_mode {', '.join(CODED)}, got {got}; "
        "set train.class_weight=null"
    )


def count_pixels(head: Head, batches: Iterable[Batch]) -> Array:
    """The pixels of each class in the masks of `head`, shape `(classes,)`, int64, without those that are ignored."""
    counts = np.zeros(len(head.class_names), np.int64)
    for batch in batches:
        counts += np.bincount(np.asarray(batch.y).ravel(), minlength=len(counts))[: len(counts)]
    if head.ignored is not None and head.ignored < len(counts):
        counts[head.ignored] = 0
    return counts


def _balanced(counts: Array) -> Array:
    present = counts > 0
    weights = np.ones(len(counts), np.float32)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def _refuse_unknown(given: Mapping[str, float], head: Head) -> None:
    unknown = [name for name in given if name not in head.class_names]
    if unknown:
        raise ConfigurationError([_problem(name, head.class_names) for name in unknown])


def _problem(name: str, known: tuple[str, ...], most: int = 20) -> str:
    near = nearest(name, known)
    mend = f"; did you mean {near!r}?" if near else ""
    shown = ", ".join(known[:most]) + (", …" if len(known) > most else "")
    return f"train.class_weight must name classes of the data ({shown}), got {name!r}{mend}"
