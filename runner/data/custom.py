"""`data=custom`: samples from a class of the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from runner.batch import Indices
from runner.component import Arguments, DottedName
from runner.data.dataset import Data, Dataset, relabel_splits
from runner.data.labels import Head, Known
from runner.data.masks import FIRST_MASKS, MaskSettings, mask_labels
from runner.data.numbers import NumberSettings
from runner.data.source import Source
from runner.data.table import ColumnModes
from runner.data.views import select
from runner.errors import ConfigurationError, DataError
from runner.fields import Fields, Layout, spec_of
from runner.messages import yaml_text
from runner.user_code import call, file_of, module_of


class Custom(Data, MaskSettings, NumberSettings):
    """A class of yours with `__len__` and `read(index)`, and optionally labels, ids, splits and `path(index)`.

    If `read` returns a dict of arrays, the model gets a dict of inputs with these names. An attribute `targets` names
    the array that is the target of class_mode=mask or raw (of a mask, its default is mask), `inputs` the ones that the
    model gets; by default all others.
    """

    kind: Literal["custom"] = "custom"

    target: DottedName
    """The class, my_module.MySource. `read(index)` always returns the same array, in any thread.
    `labels`: one value per sample (a list of classes for multi_label, a row of numbers for raw), or a mapping of names
    to such columns. `ids`: a unique name per sample; default: its number. `splits`: train, validation or test."""

    arguments: Arguments = Field(default={})
    """Arguments of the class."""

    class_mode: ColumnModes = "sparse"
    """Form of `y`, as with data=dataframe; a mapping of names in `labels` to modes gives one output for each."""

    def named_outputs(self) -> tuple[Head, ...]:
        """The heads of a mapping of names to modes, without their classes."""
        modes = self.class_mode if isinstance(self.class_mode, dict) else {}
        return tuple(Head(name, mode) for name, mode in modes.items())

    def names(self) -> Iterator[tuple[str, str]]:
        """Pairs of a key and the dotted name of user code that it holds."""
        yield "target", self.target
        yield from super().names()

    def open(self) -> Dataset:
        """Make the object, take its ids, labels and splits, and read its first training sample.

        Raises `ConfigurationError` if the class lacks a method, and `DataError` if its ids, labels, splits or samples
        do not fit.
        """
        return self._open({})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; it may have samples of only some of its classes.

        Raises `DataError` if a sample has a class that is unknown to the model.
        """
        return relabel_splits(self._open({head.name: head.class_names for head in heads}), heads)

    def _open(self, known: Known) -> Dataset:
        # Imported here because the configuration imports this module.
        from runner.data.user_object import UserObject, fields_of, target_of
        from runner.data.user_samples import UserSamples, read_values

        instance = call(self.target, "data", self.arguments)
        missing = [name for name in ("__len__", "read") if not callable(getattr(instance, name, None))]
        if missing:
            raise ConfigurationError(
                f"data.target={self.target} must have __len__ and read(index), but has no {' and no '.join(missing)}"
            )
        if (target := target_of(instance, self.target, self.class_mode)) is not None and self.value_names is not None:
            raise DataError("data.value_names must be null for a target of `targets`, whose values have no names")
        user_object = UserObject(self.target, instance, None if target else self.class_mode, self.value_names)
        user_object.num_samples()
        ids, rows = user_object.ids(), user_object.rows()
        labels = user_object.labels(rows["train"], known)
        fields = fields_of(instance, self.target, target)
        first = self.first_readable(
            lambda index: read_values(instance, index, ids[index], fields), rows["train"].tolist()
        )
        if self.class_mode == "input" and isinstance(first, Fields):
            raise DataError(
                f"data.class_mode=input predicts the sample, which must be one array, got {spec_of(first)}; return one "
                "array, or set another class_mode"
            )
        samples: Source = UserSamples(instance, ids, labels, spec_of(first), fields)
        if target is not None:
            samples = self._with_target(samples, target, rows["train"], known.get("", ()))
        file = file_of(module_of(self.target))
        sources = {split: select(samples, members) for split, members in rows.items()}
        return self.dataset(sources, samples.labels.heads, (file,) if file else ())

    def _with_target(self, samples: Source, field: str, training: Indices, known: tuple[str, ...]) -> Source:
        """The samples, whose array `field` is a mask, or an array of numbers to predict."""
        from runner.data.target_arrays import refuse_other_sides, whole_numbers, with_array_target, with_masks

        spec = samples.spec
        if not isinstance(spec, Layout) or field not in dict(spec.specs):
            raise DataError(
                f"{self.target}.read must return a dict with the sample and the array {field} for data.class_mode="
                f"{yaml_text(self.class_mode)}, got {spec}; the attribute targets names another one"
            )
        if self.class_mode != "mask":
            return with_array_target(samples, field)
        refuse_other_sides(spec, field, f"{self.target}: {field}")
        first = training[:FIRST_MASKS].tolist()
        classes = self.mask_classes(known, lambda: [whole_numbers(samples.read(row).arrays[field]) for row in first])
        return with_masks(samples, classes, mask_labels(classes, field), field)
