"""Blend: MixUp and CutMix, which mix the samples of a training batch with each other.

The partner of row *i* is row (*i* + shift) mod *n* of the same batch, so nothing else is read. The shift, and how much
a row keeps of itself, follow from the seed, the pass and the step. A blend gets a batch after everything that is done
to single samples, and after every cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from runner.batch import Array, ArraySpec, Batch, Indices, Targets
from runner.data.dataframe import DataFrame
from runner.data.dataset import Data
from runner.data.labels import Head, target_fields
from runner.data.mix import Mix
from runner.errors import ConfigurationError
from runner.fields import SampleSpec, arrays_of, input_spec, named_specs
from runner.loaders.buffers import aligned_bytes
from runner.seeds import Purpose, derive
from runner.transforms.settings import MIXING, Augment
from runner.transforms.transform import Transforms

DTYPES = ("uint8", "uint16", "float32")
"""Dtypes that OpenCV adds; mixed samples have the dtype that they had, whole numbers are rounded."""

HALF = 0.5
"""The share of batches that CutMix mixes where MixUp is set as well."""

LEAST_ALPHA = 1e-6
"""As in `keras.layers.CutMix`, which draws alpha from 0 to its factor."""


class Recipe(NamedTuple):
    """How the rows of one batch are mixed.

    `weights` are the shares that rows keep of themselves, shape `(n,)`. `places` is None for MixUp; for CutMix it says
    where the rectangles are, two points of [0, 1) for each row: from the top, from the left.
    """

    shift: int
    weights: Array
    places: Array | None


@dataclass(frozen=True)
class Blend:
    """Mixes the rows of a batch: `mixup` is alpha as in `keras.layers.MixUp`, `cutmix` the factor of `CutMix`.

    With both, each batch is mixed by one of them, drawn at even odds.
    """

    mixup: float
    cutmix: float
    seed: int

    def recipe(self, num_rows: int, epoch: int, step: int) -> Recipe:
        """What is drawn for a batch of `num_rows`, whose row of its own is never a partner if it has another."""
        random = np.random.default_rng(derive(self.seed, Purpose.MIX, epoch, step))
        which, point, strength = random.random(3).tolist()
        shift = 1 + int(point * (num_rows - 1)) if num_rows > 1 else 0
        if self.cutmix and (not self.mixup or which < HALF):
            alpha = self.cutmix * strength + LEAST_ALPHA
            return Recipe(shift, random.beta(alpha, alpha, num_rows), random.random((num_rows, 2)))
        return Recipe(shift, random.beta(self.mixup, self.mixup, num_rows), None)

    def reads(self, rows: slice, num_rows: int, epoch: int, step: int) -> Indices:
        """What a process reads that has these `rows` of a batch of `num_rows`: its rows, then the partner of each."""
        own = np.arange(num_rows)[rows]
        return np.concatenate([own, (own + self.recipe(num_rows, epoch, step).shift) % num_rows])

    def mix(self, batch: Batch, epoch: int, step: int) -> Batch:
        """The mixed batch, with the ids of its rows; `x` is in new memory."""
        recipe = self.recipe(len(batch), epoch, step)
        own = np.arange(len(batch))
        return _mixed(batch, recipe, (own + recipe.shift) % max(1, len(batch)))

    def mix_part(self, batch: Batch, rows: slice, num_rows: int, epoch: int, step: int) -> Batch:
        """These `rows` of a batch of `num_rows`, mixed as in the whole; `batch` has the rows that `reads` names."""
        whole, count = self.recipe(num_rows, epoch, step), len(batch) // 2
        places = None if whole.places is None else whole.places[rows]
        return _mixed(batch, Recipe(whole.shift, whole.weights[rows], places), np.arange(count, 2 * count))


def _mixed(batch: Batch, recipe: Recipe, partners: Indices) -> Batch:
    """The first rows of `batch`, as many as there are partners, each mixed with its partner."""
    if not len(partners):
        return batch
    x, weights = {}, recipe.weights
    for name, array in arrays_of(batch.x):
        if recipe.places is None:
            x[name] = _added(array, weights, partners)
        else:
            x[name], weights = _pasted(array, recipe, partners)
    y, sample_weight = (_soft(one, weights, partners) for one in (batch.y, batch.sample_weight))
    inputs = x if isinstance(batch.x, dict) else x[""]
    return replace(batch, x=inputs, y=y, sample_weight=sample_weight, ids=batch.ids[: len(partners)])


def _added(array: Array, weights: Array, partners: Indices) -> Array:
    """Each row times its weight, plus its partner times the rest.

    A row at a time: so its bits are the same in a batch of any size, as several processes have them.
    """
    import cv2  # only where samples are mixed

    out = _new(array, len(partners))
    given, mixed = array.reshape(len(array), -1), out.reshape(len(out), -1)
    for row, (weight, partner) in enumerate(zip(weights.tolist(), partners.tolist(), strict=True)):
        cv2.addWeighted(given[row], weight, given[partner], 1 - weight, 0, dst=mixed[row])
    return out


def _pasted(array: Array, recipe: Recipe, partners: Indices) -> tuple[Array, Array]:
    """Each image with a rectangle of its partner's, at the same place; and the shares that the images keep.

    As in Keras, the rectangle has the shape of the image, and lies within it.
    """
    out, (height, width) = _new(array, len(partners)), array.shape[1:3]
    out[...] = array[: len(partners)]
    kept = np.empty(len(partners))
    places = np.zeros((len(partners), 2)) if recipe.places is None else recipe.places
    for row, (weight, (top, left)) in enumerate(zip(recipe.weights.tolist(), places.tolist(), strict=True)):
        rows, columns = (_side(length, weight, point) for length, point in ((height, top), (width, left)))
        out[row, rows, columns] = array[partners[row], rows, columns]
        kept[row] = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    return out, kept


def _side(length: int, weight: float, point: float) -> slice:
    """The pixels of one side of a rectangle that leaves `weight` of the image: those whose centre is within it."""
    side = math.sqrt(1 - weight) * length
    start = point * (length - side)
    return slice(math.ceil(start - 0.5), math.ceil(start + side - 0.5))


def _new(array: Array, num_rows: int) -> Array:
    spec = ArraySpec(array.shape[1:], array.dtype)
    return spec.view(aligned_bytes(spec.buffer_bytes(num_rows)), num_rows)


def _soft(values: Targets, weights: Array, partners: Indices) -> Targets:
    """Labels or weights of the rows, mixed in the shares of the samples."""
    if values is None:
        return None
    if isinstance(values, dict):
        return {name: _soft_array(value, weights, partners) for name, value in values.items()}
    return _soft_array(values, weights, partners)


def _soft_array(values: Array, weights: Array, partners: Indices) -> Array:
    shares = weights.reshape(-1, *(1,) * (values.ndim - 1))
    soft: Array = values[: len(partners)] * shares + values[partners] * (1 - shares)
    return soft.astype(values.dtype)


class PhaseAugmentation(NamedTuple):
    """What is done to training samples in a phase: to each of them, then to those of a batch together."""

    transforms: Transforms
    blend: Blend | None = None


def blend_of(
    settings: Augment, spec: SampleSpec, heads: Iterable[Head], seed: int, called: str = "data.augment"
) -> Blend | None:
    """The blend of training batches of such samples and targets; None if `settings`, the key `called`, ask for none.

    Raises `ConfigurationError` with all reasons why they cannot be mixed.
    """
    keys = [key for key in MIXING if getattr(settings, key)]
    if not keys:
        return None
    heads = tuple(heads)
    named = " and ".join(f"{called}.{key}" for key in keys)
    problems = [f"{named} must be 0 {problem}" for problem in _unmixable(heads, settings)]
    inputs = input_spec(spec, target_fields(heads))
    if not problems:
        problems = [f"{named} must be 0 for samples of {inputs}: {reason}" for reason in _unfit(inputs, settings)]
    if problems:
        raise ConfigurationError(problems)
    return Blend(settings.mixup, settings.cutmix, seed)


def refuse_unmixable(data: Data) -> None:
    """Raise ValueError if the class modes that are configured say that samples cannot be mixed as `data` asks.

    What only the data say, such as the class modes of a pack, is left to `blend_of`.
    """
    keys = [f"data.augment.{key}" for key in MIXING if getattr(data.augment, key)]
    for part in data.parts.values() if isinstance(data, Mix) else (data,):
        for name, mode in _configured_modes(part):
            if keys and (problem := _problem_of(name, mode, data.augment)) is not None:
                raise ValueError(f"{' and '.join(keys)} must be 0 {problem}")


def _configured_modes(data: Data) -> Iterable[tuple[str, str | None]]:
    """The outputs, as far as the configuration names them, and their class modes."""
    mode: Any = getattr(data, "class_mode", None)
    if isinstance(data, DataFrame) and data.has_labels:
        return [(name if data.several_heads else "", each) for name, each in data.modes.items()]
    return mode.items() if isinstance(mode, Mapping) else [("", mode)]


def _unmixable(heads: tuple[Head, ...], settings: Augment) -> Iterable[str]:
    """Why labels of these heads cannot be mixed."""
    found = [_problem_of(head.name, head.mode, settings, is_array=bool(head.field)) for head in heads]
    return [problem for problem in found or [_problem_of("", None, settings)] if problem is not None]


def _problem_of(name: str, mode: str | None, settings: Augment, *, is_array: bool = False) -> str | None:
    """Why targets of a class mode, None for no targets, cannot be mixed; None if they can."""
    of = f" (output {name})" if name else ""
    if mode is None:
        return "with class_mode=null, which has no labels to mix; leave it out, or label the samples"
    if mode == "sparse":
        return (
            f"with class_mode=sparse{of}, whose labels are numbers of classes, of which none is a share of two; set "
            "class_mode=categorical"
        )
    if mode in ("mask", "input") or is_array:
        target = "the sample itself" if mode == "input" else "an array of the sample"
        return f"with class_mode={mode}{of}, whose target is {target}: only labels are mixed; leave it out"
    if mode == "raw" and settings.cutmix:
        return (
            f"with class_mode=raw{of}: a number is not divided as the area is; leave data.augment.cutmix out, "
            "data.augment.mixup mixes numbers"
        )
    return None


def _unfit(inputs: SampleSpec, settings: Augment) -> Iterable[str]:
    """Why inputs of this spec cannot be mixed."""
    specs = [spec for _, spec in named_specs(inputs)]
    if any(spec.dtype.name not in DTYPES for spec in specs):
        yield f"only values of {', '.join(DTYPES)} can be mixed; leave it out"
    sizes = {spec.shape[:2] if len(spec.shape) in (2, 3) else () for spec in specs}
    if settings.cutmix and (len(sizes) > 1 or () in sizes):
        yield "CutMix cuts images of one height and width alike; leave data.augment.cutmix out"
