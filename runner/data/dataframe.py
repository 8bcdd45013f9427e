"""`data=dataframe`: your own image files, listed with their labels in a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from runner.batch import Array, Indices
from runner.component import Package, is_file, is_folder
from runner.data.dataset import Data, Dataset, relabel_splits
from runner.data.file_names import as_on_disk, same_files
from runner.data.ids import CHUNK, Ids, rows_of
from runner.data.labels import NO_LABELS, Head, Known, Labels
from runner.data.manifest import PARQUET, Manifest, joined, read_manifest
from runner.data.masks import FIRST_MASKS, MaskedImages, MaskFileSettings, mask_labels
from runner.data.places import FilePlaces
from runner.data.stored_samples import file_samples
from runner.data.table import TargetColumn, TargetReader, numbers
from runner.data.table_settings import TableSettings
from runner.data.views import select
from runner.errors import DataError
from runner.images import ImageSettings
from runner.messages import first_few, plural
from runner.place import Place

if TYPE_CHECKING:
    from runner.data.groups import Groups


class DataFrame(TableSettings, Data, ImageSettings, MaskFileSettings):
    """Image files listed in a CSV or Parquet table, with labels, weights and splits in its columns."""

    kind: Literal["dataframe"] = "dataframe"

    def named_outputs(self) -> tuple[Head, ...]:
        """The heads of several columns, without their classes."""
        return tuple(Head(name, mode) for name, mode in self.modes.items()) if self.several_heads else ()

    def packages(self) -> Iterator[Package]:
        """The package that reads Parquet, if the table is Parquet."""
        for key, file in self.tables():
            if file.suffix.lower() == PARQUET:
                yield Package(f"data.{key}={file}", "pyarrow", "parquet", "save the table as .csv")

    def missing_paths(self) -> Iterator[tuple[str, Path]]:
        """Keys whose file or folder does not exist, with its path."""
        yield from ((key, file) for key, file in self.tables() if not is_file(file))
        if self.root is not None and not is_folder(self.root):
            yield "root", self.root

    def open(self) -> Dataset:
        """Read the table, and the header of the first training image to learn its bit depth.

        Raises `DataError` with row and column of a cell that cannot be used.
        """
        return self._open({})

    def open_for(self, heads: tuple[Head, ...]) -> Dataset:
        """Open the data for a model with these heads; it may have samples of only some of its classes.

        Raises `DataError` if a row has a class that is unknown to the model.
        """
        return relabel_splits(self._open({head.name: head.class_names for head in heads}), heads)

    def array_settings(self) -> Mapping[str, Any]:
        """The settings of the pixels, and of the codes of masks."""
        return {**self.pixel_settings(), **self.mask_settings()}

    @property
    def folder(self) -> Path:
        """The folder that paths are relative to."""
        return self.manifest.parent if self.root is None else self.root

    def draw_weights(self, column: str, ids: Sequence[str]) -> Array:
        """The numbers in `column` of the samples with these ids, read once more from the table."""
        manifest = read_manifest(self.manifest, [self.path_column], [column])
        weights = numbers(manifest, column)
        manifest.refuse(np.flatnonzero(weights < 0), column, "hold a number of at least 0 to draw by (loader.draw_by)")
        drawn = weights[rows_of(ids, self._paths(manifest, self.path_column, "the path of an image"))]
        if not drawn.any():
            raise DataError(
                f"{self.manifest}, column {column!r}, must hold a number above 0 for a training sample, got only 0; "
                "leave loader.draw_by out"
            )
        return drawn

    def _open(self, known: Known) -> Dataset:
        # Imported here because decoders are slow to import and the configuration imports this module.
        from runner.images.exact import orientation_notes
        from runner.images.fast import FIRST, open_decoder

        tables, left_out = self._tables()
        manifest, rows = joined(list(tables.values())), self._rows(tables)
        ids = self._ids(manifest)
        if self.class_mode == "mask":
            return self._open_masks(manifest, ids, rows, known)
        chosen = {"": self.classes} if self.classes is not None else {}
        targets = self._targets(TargetReader(manifest, rows["train"], {**chosen, **known}))
        heads = tuple(target.head for target in targets)
        labels = Labels(heads, tuple(target.column for target in targets), self._weights(manifest))
        folder = self.folder
        decoder = open_decoder(self, *(folder / ids[row] for row in rows["train"][:FIRST]))
        sources = {
            split: file_samples(folder, ids.select(members), labels.take(members), decoder)
            for split, members in rows.items()
        }
        dataset = self.dataset(sources, heads, self._files, self._groups_of(manifest, rows))
        turned = orientation_notes(folder, ids.select(rows["train"]))
        return replace(dataset, notes=(*left_out, *turned, *dataset.notes))

    def _open_masks(self, manifest: Manifest, ids: Ids, rows: Mapping[str, Indices], known: Known) -> Dataset:
        from runner.images.fast import FIRST, open_decoder
        from runner.images.mask import MaskDecoder

        folder, masks = self.folder, self._paths(manifest, str(self.mask_column), "the path of a mask")
        decoder = open_decoder(self, *(folder / ids[row] for row in rows["train"][:FIRST]))
        first = [Place(str(folder / masks[row])) for row in rows["train"][:FIRST_MASKS]]
        classes = self.mask_classes(known.get("", ()), lambda: self.first_values(first))
        labels = replace(mask_labels(classes), weights=self._weights(manifest))
        images = file_samples(folder, ids, NO_LABELS, decoder)
        samples = MaskedImages(images, FilePlaces(folder, masks), MaskDecoder(classes, self), labels)
        sources = {split: select(samples, members) for split, members in rows.items()}
        return self.dataset(sources, labels.heads, self._files, self._groups_of(manifest, rows))

    @property
    def _files(self) -> tuple[Path, ...]:
        return tuple(file for _, file in self.tables())

    def _tables(self) -> tuple[dict[str, Manifest], list[str]]:
        """The table of each split that has one, `train` first, without rows of other classes; and a note on these."""
        from runner.data.table_rows import of_classes, refuse_absent  # the configuration imports this module

        tables = {key.removesuffix("_manifest"): self._read(file) for key, file in self.tables()}
        tables = {"train" if key == "manifest" else key: table for key, table in tables.items()}
        if self.classes is None:
            return tables, []
        (column,) = self.target_columns
        refuse_absent(tables["train"], column, self.classes)
        chosen = {split: of_classes(table, column, self.classes) for split, table in tables.items()}
        others = [name for _, names in chosen.values() for name in names]
        note = f"{plural(len(others), 'row')} of other classes left out: {first_few(sorted(set(others)))}"
        return {split: table for split, (table, _) in chosen.items()}, [note] if others else []

    def _read(self, file: Path) -> Manifest:
        modes = self.modes
        texts = [name for name, mode in modes.items() if mode != "raw"]
        texts += [self.mask_column] if self.mask_column is not None and self.class_mode == "mask" else []
        texts += filter(None, [self.group_column])
        texts += filter(None, [self.split_column, self.fold_column] if file == self.manifest else [])
        raw = [name for name, mode in modes.items() if mode == "raw"]
        weights = [] if self.weight_column is None else [self.weight_column]
        manifest = read_manifest(file, [self.path_column, *texts], [*raw, *weights])
        if not len(manifest):
            raise DataError(f"{file} must list samples, got no rows")
        return manifest

    def _targets(self, reader: TargetReader) -> list[TargetColumn]:
        if self.class_mode == "input":
            return [TargetColumn(Head("", "input"), np.empty(0, np.int64))]
        if self.class_mode == "raw" and len(self.target_columns) > 1:
            return [reader.values(self.target_columns)]
        return [
            reader.target(column, mode, name=column if self.several_heads else "")
            for column, mode in self.modes.items()
        ]

    def _paths(self, manifest: Manifest, column: str, what: str) -> Ids:
        """The paths in a column, with the names that files have on disk."""
        cells = manifest.table[column]
        manifest.refuse(np.flatnonzero(cells.isna()), column, f"hold {what}")
        parts = (cells.iloc[row : row + CHUNK].astype(str).tolist() for row in range(0, len(cells), CHUNK))
        ids = Ids(chain.from_iterable(parts))
        if "\0" in ids.text:
            nul = [row for row, name in enumerate(ids) if "\0" in name]
            manifest.refuse(np.array(nul), column, f"hold {what}, without a NUL character")
        return as_on_disk(self.folder, ids)

    def _ids(self, manifest: Manifest) -> Ids:
        ids = self._paths(manifest, self.path_column, "the path of an image")
        if repeated := ids.repeated() or same_files(self.folder, ids):
            raise DataError(
                f"{self.manifest} must list each image once, got {len(repeated):,} in several rows: "
                f"{first_few(repeated[:5], len(repeated))}"
            )
        return ids

    def _rows(self, tables: Mapping[str, Manifest]) -> dict[str, Indices]:
        """The rows of each split in the joined tables; all rows of the first are for training if it has no splits."""
        from runner.data.table_rows import folds, splits

        first = tables["train"]
        rows = {"train": np.arange(len(first))} if self.split_column is None else splits(first, self.split_column)
        if self.fold_column is not None:
            rows |= folds(first, self.fold_column, rows, int(self.fold or 0))
        begin = len(first)
        for split, table in list(tables.items())[1:]:
            if split in rows:
                raise DataError(f"{first.file} has {split} rows already; leave data.{split}_manifest={table.file} out")
            rows[split] = np.arange(begin, begin := begin + len(table))
        return rows

    @property
    def _folds_are_given(self) -> bool:
        return self.fold_column is not None

    def undivided(self) -> Self:
        """The same settings, which hold nothing out."""
        return super().undivided().model_copy(update={"fold_column": None})

    def _weights(self, manifest: Manifest) -> Array | None:
        if self.weight_column is None:
            return None
        weights = numbers(manifest, self.weight_column)
        manifest.refuse(np.flatnonzero(weights < 0), self.weight_column, "hold a weight of at least 0")
        return weights

    def _groups_of(self, manifest: Manifest, rows: Mapping[str, Indices]) -> dict[str, Groups] | None:
        from runner.data.table_rows import groups

        return None if self.group_column is None else groups(manifest, self.group_column, rows)
