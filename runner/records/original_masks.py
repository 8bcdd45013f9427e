"""`predict.original_size`: predicted masks as files of the size that their images are stored with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runner.batch import Array
from runner.data.labels import Head
from runner.data.source import Source
from runner.errors import BadSampleError, DataError, reason
from runner.images.original_size import OriginalSize, read_stored_size
from runner.messages import first_few, yaml_text
from runner.place import Place
from runner.records.mask_files import written_values

Stored = int | tuple[int, int, int]


@dataclass(frozen=True)
class Original:
    """How masks get the size of their images, and what they hold where the model saw nothing: `ignored`, if given.

    Without it, that part gets the first class.
    """

    size: OriginalSize
    ignored: Stored | None = None

    def head_of_files(self, head: Head) -> Head:
        """`head` with one more class where files may hold `ignored`.

        Raises `DataError` if `ignored` cannot stand next to what the classes are stored as.
        """
        if self.ignored is None or not self.size.leaves_out:
            return head
        values = written_values(head)
        if self.ignored in values or isinstance(self.ignored, tuple) != isinstance(values[0], tuple):
            raise DataError(
                "data.ignore_value must be like the values of the model's classes, and none of them, with "
                f"predict.original_size=true, got {yaml_text(self.ignored)}; the classes are stored as "
                f"{first_few(map(yaml_text, values))}; change it, or set it to null"
            )
        return replace(head, class_names=(*head.class_names, ""), stored=(*values, self.ignored))

    def refuse_unfit(self, heads: Iterable[Head]) -> None:
        """Raise `DataError` if none of the heads is a mask, or `ignored` does not fit to one."""
        masks = [head for head in heads if head.mode == "mask"]
        if not masks:
            raise DataError(
                "predict.original_size needs a model that predicts masks, and this one predicts none; set "
                "predict.original_size=false, or train with data.class_mode=mask"
            )
        for head in masks:
            self.head_of_files(head)


class OriginalMasks:
    """Makes masks of the size of their images, for the samples of `source` in its order; some may be missing."""

    def __init__(self, head: Head, original: Original, source: Source) -> None:
        self._size, self._source, self._indices = original.size, source, iter(range(len(source)))
        self.head = original.head_of_files(head)
        """The head of the files."""
        self._fill = len(head.class_names) if len(self.head.class_names) > len(head.class_names) else 0

    def mask_of_file(self, sample_id: str, codes: Array) -> Array:
        """The mask `codes` of the next sample, `sample_id`, at the size of its image, in the codes of `head`.

        Raises `BadSampleError` if the image is gone.
        """
        place = self._place(sample_id)
        size = read_stored_size(place)
        try:
            return self._size.enlarged(codes, size, self._fill)
        except ValueError as error:
            raise BadSampleError(place.name, reason(error)) from error

    def _place(self, sample_id: str) -> Place:
        return self._source.places(next(index for index in self._indices if self._source.ids[index] == sample_id))[0]
