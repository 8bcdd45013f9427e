"""Encoders: what a pack holds of a sample. The bytes of its files, smaller JPEG images, or arrays."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xxhash

from runner.batch import Array
from runner.data.dataset import OTHER_BYTES, Dataset, RecordedDigest
from runner.data.pack_format import PackField, field_words, member_suffix
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, reason
from runner.fields import arrays_of, named_specs
from runner.images.decoder import refuse_bomb
from runner.packs.settings import PackSettings
from runner.place import Bytes, Place


class Content(NamedTuple):
    """The content of one member, and its suffix."""

    data: Bytes
    suffix: str


class Encoder(ABC):
    """Makes the members of a sample: one for each of its arrays, in their order."""

    @abstractmethod
    def encode(self, source: Source, index: int) -> tuple[Content, ...]:
        """The members of sample `index`. Raises `BadSampleError` if it cannot be read."""


@dataclass(frozen=True)
class FileEncoder(Encoder):
    """Makes members of the bytes of files, which must have the digests that `recorded` gives."""

    recorded: RecordedDigest

    def read(self, place: Place) -> Bytes:
        """The bytes at `place`. Raises `BadSampleError` if they are not those that were recorded."""
        data, digest = place.read(), self.recorded(place)
        if digest is not None and xxhash.xxh3_128_digest(data) != digest:
            raise BadSampleError(place.name, OTHER_BYTES)
        return data


class KeptFiles(FileEncoder):
    """The bytes of the sample's files."""

    def encode(self, source: Source, index: int) -> tuple[Content, ...]:
        """The bytes of each file of sample `index`."""
        return tuple(Content(self.read(place), member_suffix(place.name)) for place in source.places(index))


class NpyArrays(Encoder):
    """The sample's arrays as `.npy` files, as loaders read them."""

    def encode(self, source: Source, index: int) -> tuple[Content, ...]:
        """Each array of sample `index`."""
        return tuple(Content(_npy(array), ".npy") for _, array in arrays_of(source.read(index)))


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return file.getvalue()


@dataclass(frozen=True)
class JpegImages(FileEncoder):
    """Images as JPEG of a quality; where the shorter side is longer than `side`, they shrink to it."""

    quality: int
    side: int

    def encode(self, source: Source, index: int) -> tuple[Content, ...]:
        """The image of sample `index`."""
        return tuple(Content(self._smaller(self.read(place), place.name), ".jpg") for place in source.places(index))

    def _smaller(self, data: Bytes, name: str) -> bytes:
        from PIL import Image

        from runner.images.exact import opened

        file = io.BytesIO()
        try:
            with opened(io.BytesIO(data)) as image:
                refuse_bomb(image.height, image.width, len(data))
                image.load()
                mode = image.mode if image.mode in ("L", "RGB") else _like(image.mode)
                shown = image.convert(mode)
            factor = self.side / min(shown.size)
            if factor < 1:
                width, height = (max(1, round(length * factor)) for length in shown.size)
                shown = shown.resize((width, height), Image.Resampling.BICUBIC)
            shown.save(file, "JPEG", quality=self.quality)
        except MemoryError:
            raise
        # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error and others.
        except Exception as error:
            raise BadSampleError(name, reason(error)) from error
        return file.getvalue()


def _like(mode: str) -> str:
    if mode.startswith(("I", "F")):
        raise ValueError(f"an image of mode {mode} has more than 8 bits, and JPEG has 8; pack.encode=keep keeps them")
    return "L" if mode in ("1", "LA") else "RGB"


def encoder_for(
    settings: PackSettings, kind: str, dataset: Dataset, recorded: RecordedDigest
) -> tuple[Encoder, tuple[PackField, ...]]:
    """The encoder of a dataset of this kind of data, and the fields that it writes.

    Raises `DataError` if the samples cannot be packed so.
    """
    source = next(iter(dataset.splits.values()))
    specs = named_specs(source.spec)
    words = field_words(name for name, _ in specs)
    holds = ["array"] * len(specs)
    if settings.kind != "npy":
        holds = _kinds_of_files(settings, kind, source)
    fields = tuple(
        PackField(name, word, of_what, spec.shape, str(spec.dtype))
        for (name, spec), word, of_what in zip(specs, words, holds, strict=True)
    )
    if settings.kind == "jpeg":
        _refuse_no_images(settings, fields)
        return JpegImages(recorded, *settings.jpeg), fields
    return (KeptFiles(recorded) if settings.kind == "keep" else NpyArrays()), fields


def _kinds_of_files(settings: PackSettings, kind: str, source: Source) -> list[str]:
    """What each file of a sample is."""
    if kind == "custom" or not source.has_bytes:
        raise DataError(
            f"pack.encode={settings.encode} needs samples that are image files or .npy files, got data={kind}; "
            "pack.encode=npy packs the arrays of any data"
        )
    masks = {head.field for head in source.labels.heads if head.mode == "mask"}
    names = [name for name, _ in named_specs(source.spec)]
    return [
        "array" if place.name.lower().endswith(".npy") else "mask" if name in masks else "image"
        for name, place in zip(names, source.places(0), strict=True)
    ]


def _refuse_no_images(settings: PackSettings, fields: tuple[PackField, ...]) -> None:
    if any(field.holds != "image" for field in fields):
        raise DataError(
            f"pack.encode={settings.encode} is for images; got {' and '.join(field.holds for field in fields)}, whose "
            "values JPEG would change; choose pack.encode=keep or npy"
        )
    if any(field.dtype != "uint8" for field in fields):
        raise DataError(f"pack.encode={settings.encode} needs images of 8 bits, got 16; choose pack.encode=keep or npy")
