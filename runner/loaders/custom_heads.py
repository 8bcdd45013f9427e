"""Heads of the user's batches: from the configuration, or detected from the first batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runner.batch import Array
from runner.data.labels import Head, HeadMode
from runner.errors import ConfigurationError, DataError
from runner.fields import Fields, Values, arrays_of
from runner.finite import all_finite, not_finite_text
from runner.messages import plural

Classes = int | tuple[str, ...] | None
Modes = HeadMode | Mapping[str, HeadMode] | None


def heads_of(
    x: Values,
    y: Array | Mapping[str, Array],
    modes: Modes,
    classes: Classes | Mapping[str, Classes],
    ignored: int | None = None,
) -> tuple[Head, ...]:
    """The heads of targets `y` of samples `x`: one, or one per entry of a dictionary; `ignored` is for masks.

    Raises `ConfigurationError` if they cannot be detected, or do not match the configuration.
    """
    targets = y if isinstance(y, Mapping) else {"": y}
    for name, target in targets.items():
        _refuse_form(name, target)
    for key, given in (("class_mode", modes), ("classes", classes)):
        unknown = [name for name in given if name not in targets] if isinstance(given, Mapping) else []
        if unknown:
            raise ConfigurationError(
                f"loader.{key} must map outputs that y has ({', '.join(filter(None, targets)) or 'it is one array'}), "
                f"got {', '.join(unknown)}"
            )
    return tuple(
        _head(
            name,
            target,
            x,
            modes.get(name) if isinstance(modes, Mapping) else modes,
            classes.get(name) if isinstance(classes, Mapping) else classes,
            ignored,
        )
        for name, target in targets.items()
    )


def column_of(head: Head, y: Array, x: Values, *, detected: bool = False) -> Array:
    """`y` as a column of `Labels`; a mode that was `detected` from the first batch allows no values between 0 and 1.

    Raises `DataError` if it does not match the head's mode.
    """
    flat = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    num_classes = len(head.class_names)
    if not all_finite(y):
        raise DataError(f"{_named(head)} must hold numbers, got {not_finite_text(y)}")
    match head.mode:
        case "categorical":
            _must(y.shape == (len(x), num_classes), f"have shape {(len(x), num_classes)}", y, head)
            _must_be_one_class(y, head, detected)
            codes: Array = y.argmax(axis=1)
            return codes
        case "sparse" | "binary":
            pixels = "; loader.class_mode=mask takes a class number for each pixel" if y.ndim > 2 else ""
            _must(flat.shape == (len(x),), f"have shape {(len(x),)}", y, head, f"{y.shape}{pixels}")
            least, most = flat.min(), flat.max()
            _must(least >= 0 and most < num_classes, f"be from 0 to {num_classes - 1}", y, head, f"{least} to {most}")
            _must_be_whole(flat, head, detected)
            return np.rint(flat).astype(np.int64)
        case "multi_label":
            _must(y.shape == (len(x), num_classes), f"have shape {(len(x), num_classes)}", y, head)
            _must_be_whole(y, head, detected)
            return np.rint(y).astype(np.uint8)
        case "raw" if head.shape:
            _must(y.shape == (len(x), *head.shape), f"have shape {(len(x), *head.shape)}", y, head)
            return np.empty(0, np.int64)
        case "raw":
            shape = (len(x), len(head.value_names)) if head.value_names else (len(x),)
            values = y if head.value_names else flat
            _must(values.shape == shape, f"have shape {shape}", y, head)
            return values.astype(np.float32)
        case "input":
            _must(y.shape == _shape(x), f"have the shape of x, {_shape(x)}", y, head)
            return np.empty(0, np.int64)
        case "mask":
            _must_be_masks(y, x, head)
            return np.empty(0, np.int64)


def mask_codes(head: Head, y: Array) -> Array:
    """The checked masks of a batch as codes, shape `(n, height, width)`, in the smallest unsigned type."""
    dtype = np.min_scalar_type(max(len(head.class_names) - 1, head.ignored or 0))
    return without_channel(y).astype(dtype, copy=False)


def without_channel(y: Array) -> Array:
    """Masks without an axis of one channel."""
    return y[..., 0] if y.ndim == 4 and y.shape[3] == 1 else y


def _must_be_masks(y: Array, x: Values, head: Head) -> None:
    """Raise `DataError` for masks that are not of the size of their images, or hold anything but codes."""
    image = next((array for _, array in arrays_of(x) if array.ndim > 2), None)
    if image is None:
        raise DataError(f"x must hold images of shape (samples, height, width, …) for class_mode=mask, got {_shape(x)}")
    _must(without_channel(y).shape == image.shape[:3], f"have the shape of the images, {image.shape[:3]}", y, head)
    num_classes, ignored = len(head.class_names), head.ignored
    wrong = y[((y < 0) | (y >= num_classes) | (y != np.rint(y))) & (y != ignored)]
    if wrong.size:
        count = int(np.count_nonzero(wrong == wrong[0]))
        raise DataError(
            f"{_named(head)} must be whole numbers from 0 to {num_classes - 1}"
            f"{'' if ignored is None else f', or loader.ignore_value={ignored}'} for class_mode=mask, got {wrong[0]} "
            f"in {plural(count, 'pixel')} of a batch; give more loader.classes, or set loader.ignore_value if such "
            "pixels do not count"
        )


def _shape(x: Values) -> tuple[int, ...]:
    """The shape of `x`; of several arrays the number of rows alone."""
    return (len(x),) if isinstance(x, Fields) else x.shape


def _must(holds: bool, what: str, y: Array, head: Head, got: str = "") -> None:
    if not holds:
        raise DataError(f"{_named(head)} must {what} for class_mode={head.mode}, got {got or y.shape}")


def _named(head: Head) -> str:
    return f"y[{head.name!r}]" if head.name else "y"


SUM_TOLERANCE = 1e-3
"""How far from 1 the shares of a sample's classes may add up."""


def _must_be_one_class(y: Array, head: Head, detected: bool) -> None:
    """Raise `DataError` for a row that is neither one-hot nor shares of classes."""
    wrong = np.flatnonzero((y.min(axis=1) < 0) | (np.abs(y.sum(axis=1, dtype=np.float64) - 1) > SUM_TOLERANCE))
    if len(wrong):
        raise DataError(
            f"{_named(head)} must have one class per sample for class_mode=categorical{_as_detected(detected)}, got "
            f"{y[wrong[0]].tolist()} in row {wrong[0]}; set loader.class_mode=multi_label for any number of classes "
            "per sample, or raw for numbers"
        )


def _must_be_whole(y: Array, head: Head, detected: bool) -> None:
    """Raise `DataError` for a value that is no class: between two numbers, or outside 0 to 1 for a probability."""
    may_be_share = head.mode != "sparse" and not detected
    highest = 1 if head.mode != "sparse" else len(head.class_names) - 1
    wrong = y[(y < 0) | (y > highest) | (False if may_be_share else y != np.rint(y))]
    if wrong.size:
        expected = "whole numbers" if head.mode == "sparse" else "0 to 1" if may_be_share else "0 or 1"
        raise DataError(
            f"{_named(head)} must be {expected} for class_mode={head.mode}{_as_detected(detected)}, got {wrong[0]}; "
            f"set loader.class_mode=raw for numbers{'' if head.mode == 'sparse' else ', sparse for class numbers'}"
        )


def _as_detected(detected: bool) -> str:
    return " (detected from the first batch)" if detected else ""


def _head(name: str, y: Array, x: Values, mode: HeadMode | None, classes: Classes, ignored: int | None) -> Head:
    mode = mode or _mode(y, x, classes, name)
    names = _class_names(mode, y, classes, name)
    values = tuple(map(str, range(y.shape[1]))) if mode == "raw" and y.ndim == 2 and y.shape[1] > 1 else ()
    shape = y.shape[1:] if mode == "raw" and y.ndim > 2 else ()
    head = Head(name, mode, names, values, ignored=ignored if mode == "mask" else None, shape=shape)
    try:
        column_of(head, y, x)
    except DataError as error:
        raise ConfigurationError(f"loader.class_mode does not fit the first batch: {error}") from error
    return head


def _refuse_form(name: str, y: Array) -> None:
    """Raise `ConfigurationError` for targets that no mode takes: text, single values."""
    called = f"y[{name!r}]" if name else "y"
    if y.dtype.kind not in "biuf":
        raise ConfigurationError(
            f"{called} must hold numbers, got {y.dtype} such as {str(y.ravel()[0])!r}; give the numbers of the "
            "classes, and their names in that order as loader.classes=[…]"
        )
    if y.ndim == 0:
        raise ConfigurationError(
            f"{called} must hold one target per sample of a batch, got a single value; if that is one sample, give "
            "batches: x[None] and y[None] make a batch of one"
        )


def _mode(y: Array, x: Values, classes: Classes, name: str) -> HeadMode:
    """The mode of a target, detected from its shape and values."""
    zeros_and_ones = bool(np.isin(y, (0, 1)).all())
    vector = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if vector and classes is not None:
        return "sparse"
    if vector and y.dtype.kind in "bf":
        return "binary" if zeros_and_ones else "raw"
    if vector:
        raise ConfigurationError(
            f"loader.classes is required, because y{f'[{name!r}]' if name else ''} is a vector of whole numbers, and a "
            "batch does not show the number of classes; set loader.classes=10, or loader.class_mode=binary or raw"
        )
    if y.ndim == 2 and zeros_and_ones:
        return "categorical" if bool((y.sum(axis=1) == 1).all()) else "multi_label"
    if y.ndim == 2 and y.dtype.kind == "f":
        return "raw"
    may_be_mask = without_channel(y).ndim == 3 and bool((y == np.rint(y)).all())
    if y.shape == _shape(x) and not (may_be_mask and classes is not None):
        return "input"
    if may_be_mask:
        return "mask"
    raise ConfigurationError(
        f"loader.class_mode is required for y of shape {y.shape} and {y.dtype}, which fits no mode"
    )


def _class_names(mode: HeadMode, y: Array, classes: Classes, name: str) -> tuple[str, ...]:
    if mode in ("raw", "input"):
        return ()
    count = y.shape[1] if mode in ("categorical", "multi_label") and y.ndim == 2 else 2 if mode == "binary" else None
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else classes
    if names is None and count is None:
        raise ConfigurationError(
            f"loader.classes is required for class_mode={mode}: the number of classes, or their names"
        )
    if names is None:
        return tuple(map(str, range(count or 0)))
    if count is not None and len(names) != count:
        raise ConfigurationError(
            f"loader.classes must be {count} for class_mode={mode} and y of shape {y.shape}, got {len(names)}"
        )
    return names
