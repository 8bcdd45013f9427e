"""`data=mix`: the samples of several data components together, perhaps in shares of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.batch import SPLITS
from runner.component import Package
from runner.data.arrays import Arrays
from runner.data.custom import Custom
from runner.data.dataframe import DataFrame
from runner.data.dataset import Data, Dataset, RecordedDigest
from runner.data.digits import Digits
from runner.data.directory import Directory
from runner.data.labels import Head
from runner.data.masks import MaskFileSettings
from runner.data.npy import Npy
from runner.data.pack import Pack
from runner.data.tar import Tar
from runner.errors import DataError
from runner.images import ImageSettings
from runner.messages import first_few, yaml_text
from runner.place import Place

AnyPart = Annotated[Digits | Directory | DataFrame | Npy | Arrays | Pack | Tar | Custom, Field(discriminator="kind")]
"""What a part of a mix may be."""

PART_NAME = re.compile(r"\w[\w-]*")
"""Names of parts: they stand in ids and in keys."""

MOST_SLOTS = 1000
"""The largest common denominator of shares: draws in a round."""

OF_THE_MIX = ("augment", "transform", "transform_on", "scale", "on_bad", "max_bad")
"""Keys that hold for all samples, whatever their part."""

FOLDS = ("folds", "fold")
"""Keys that each part may have, or the mix for all of them."""


class Mix(Data):
    """The samples of several data components, each with splits of its own; training may draw them in shares."""

    kind: Literal["mix"] = "mix"

    parts: dict[str, AnyPart]
    """The parts by name, each with the keys of its kind, {old: {kind: directory, root: a, share: 0.7}, new: {kind:
    directory, root: b, share: 0.3}}. A name stands before the ids of its part. Without shares training has each sample
    once per epoch."""

    OWN: ClassVar[tuple[str, ...]] = (*OF_THE_MIX, *FOLDS, "kind", "parts", "limit")

    @model_validator(mode="after")
    def _names_can_be_typed(self) -> Self:
        if len(self.parts) < 2:
            raise ValueError(f"parts must be two or more, got {first_few(self.parts) or 'none'}")
        if wrong := [name for name in self.parts if not PART_NAME.fullmatch(name)]:
            raise ValueError(f"parts must have names of letters, digits, _ and -, got {first_few(map(repr, wrong))}")
        return self

    @model_validator(mode="after")
    def _keys_have_one_owner(self) -> Self:
        own = [name for name in type(self).model_fields if name not in self.OWN and not _is_default(self, name)]
        if own:
            raise ValueError(
                f"{own[0]} must be given for each part, as parts.{next(iter(self.parts))}.{own[0]}, got "
                f"{yaml_text(getattr(self, own[0]))} for the mix"
            )
        for name, part in self.parts.items():
            for key in (key for key in OF_THE_MIX if not _is_default(part, key)):
                raise ValueError(f"parts.{name}.{key} must be left out, as it holds for all parts; set data.{key}")
        return self

    @model_validator(mode="after")
    def _folds_have_one_owner(self) -> Self:
        for name, part in self.parts.items() if self.folds is not None else ():
            for key in (key for key in (*FOLDS, "validation_split") if not _is_default(part, key)):
                raise ValueError(f"parts.{name}.{key} must be left out with data.folds, which divides all parts")
        return self

    @model_validator(mode="after")
    def _shares_make_rounds(self) -> Self:
        without = [name for name, part in self.parts.items() if part.share is None]
        if 0 < len(without) < len(self.parts):
            raise ValueError(f"parts must all have a share, or none of them, got none for {first_few(without)}")
        if not without and sum(self.slots) > MOST_SLOTS:
            shares = ", ".join(f"{name} {part.share}" for name, part in self.parts.items())
            raise ValueError(
                f"parts must have shares with a common denominator of at most {MOST_SLOTS:,}, got {shares}; round them"
            )
        return self

    @property
    def slots(self) -> tuple[int, ...]:
        """Draws of each part in a round, as few as the shares allow; empty without shares."""
        from runner.data.mixed import slots_of

        return slots_of([part.share for part in self.parts.values()])

    def names(self) -> Iterator[tuple[str, str]]:
        """Pairs of a key and the dotted name of user code that it holds."""
        yield from super().names()
        for part, data in self.parts.items():
            yield from ((f"parts.{part}.{key}", name) for key, name in data.names())

    def packages(self) -> Iterator[Package]:
        """The optional packages of all parts."""
        for part in self.parts.values():
            yield from part.packages()

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Keys of parts whose file or folder does not exist, with its path."""
        for name, part in self.parts.items():
            yield from ((f"parts.{name}.{key}", path) for key, path in part.missing_paths())

    def named_outputs(self) -> tuple[Head, ...]:
        """The heads of several outputs, which are those of the first part."""
        return next(iter(self.parts.values())).named_outputs()

    def undivided(self) -> Self:
        """The same parts, of which nothing is held out."""
        parts = {name: part.undivided() for name, part in self.parts.items()}
        return self.model_copy(update={"parts": parts, "folds": None, "fold": None})

    def open(self) -> Dataset:
        """Open all parts. Raises `DataError` if a part does, or if samples or targets of two parts differ."""
        return self._mixed({name: part.open() for name, part in self._opened()})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open all parts for a model with these heads; classes get the model's codes."""
        return self._mixed({name: part.open_for(heads) for name, part in self._opened()})

    def array_settings(self) -> Mapping[str, Any] | None:
        """The settings of the arrays if those of all parts are the same: a file may be in two parts."""
        first, *others = (part.array_settings() for part in self.parts.values())
        return first if all(other == first for other in others) else None

    def recorded_digests(self) -> RecordedDigest:
        """What gives the digest that one of the parts recorded of the bytes at a place."""
        recorded = [part.recorded_digests() for part in self.parts.values()]

        def digest(place: Place) -> bytes | None:
            return next((found for of_part in recorded if (found := of_part(place)) is not None), None)

        return digest

    def packed_settings(self, encode: str) -> dict[str, Any]:
        """The settings that reading a pack of the parts needs.

        Raises `DataError` if their files are not read alike, unless their arrays are packed.
        """
        parts, settings = list(self.parts.values()), self.array_settings()
        unlike = settings is None and any(isinstance(part, ImageSettings) for part in parts)
        if encode != "npy" and (unlike or any(isinstance(part, Custom) for part in parts)):
            raise DataError(
                f"pack.encode={encode} needs parts whose files are read alike, got other settings for some of "
                f"{first_few(self.parts)}; pack.encode=npy packs the arrays of any data"
            )
        masks = {key: value for key, value in parts[0].document().items() if key in MaskFileSettings.model_fields}
        return {**masks, **(settings or {}), **self.document()}

    def _opened(self) -> Iterator[tuple[str, Data]]:
        """The parts, which treat bad samples as the mix does, and have its folds."""
        folds = {} if self.folds is None else {"folds": self.folds, "fold": self.fold}
        for name, part in self.parts.items():
            yield name, part.model_copy(update={"on_bad": self.on_bad, **folds})

    def _mixed(self, opened: Mapping[str, Dataset]) -> Dataset:
        from runner.data.held_out import limit_source
        from runner.data.mixed import Mixed

        (first, one), *others = opened.items()
        for name, dataset in others:
            refuse_others(first, one, name, dataset)
        sources = {
            split: {name: dataset.splits[split] for name, dataset in opened.items() if split in dataset.splits}
            for split in SPLITS
        }
        splits = {split: Mixed.of(parts, self.slots) for split, parts in sources.items() if parts}
        notes = [f"{name}: {note}" for name, dataset in opened.items() for note in dataset.notes]
        notes += [
            f"{split}: no samples of {first_few(lacking)}"
            for split in splits
            if (lacking := [name for name in opened if name not in sources[split]])
        ]
        return Dataset(
            {split: limit_source(self, source) for split, source in splits.items()},
            one.heads,
            one.spec,
            tuple(notes),
            tuple(file for dataset in opened.values() for file in dataset.files),
            must_be_there=self.on_bad == "raise",
        )


def _is_default(data: Data, key: str) -> bool:
    field = type(data).model_fields[key]
    return bool(getattr(data, key) == field.get_default(call_default_factory=True))


def refuse_others(name: str, one: Dataset, other_name: str, other: Dataset) -> None:
    """Raise `DataError` unless the samples and the targets of two parts are alike."""
    if one.spec != other.spec:
        raise DataError(
            f"data.parts must have samples of one form, got {one.spec} from {name} and {other.spec} from {other_name}; "
            "for images set data.parts.NAME.target_size and color_mode"
        )
    texts = [", ".join(map(_head_text, dataset.heads)) or "no target" for dataset in (one, other)]
    if one.heads != other.heads:
        raise DataError(
            f"data.parts must have the same targets and classes in the same order, got {texts[0]} from {name} and "
            f"{texts[1]} from {other_name}; set class_mode and classes of the parts"
        )
    if len({source.has_bytes for dataset in (one, other) for source in dataset.splits.values()}) > 1:
        raise DataError(
            f"data.parts must all be files or all be arrays, got one of each from {name} and {other_name}; write the "
            "arrays as files, or the files as arrays"
        )


def _head_text(head: Head) -> str:
    name = f"{head.name}: {head.mode}" if head.name else head.mode
    return f"{name} ({first_few(head.class_names, most=20)})" if head.class_names else name
