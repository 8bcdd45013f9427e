"""`loader=custom`: batches from a class or function of the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.batch import SPLITS
from runner.component import Arguments, Count, DottedName, Names, PositiveInt
from runner.data.dataset import Dataset, ReadyBatches
from runner.data.labels import Head, HeadMode
from runner.errors import ConfigurationError
from runner.fields import SampleSpec
from runner.loaders.settings import IN_FLIGHT, LoaderSettings
from runner.user_code import file_of, module_of

if TYPE_CHECKING:
    from runner.data.source import Source
    from runner.loaders.custom_batches import CustomBatches, CustomLoader
    from runner.loaders.custom_target import OpenedSplit
    from runner.loaders.plan import Plan
    from runner.transforms.transform import Transforms

FOR_KERAS = ("workers", "use_multiprocessing", "max_queue_size")
"""Arguments of a `PyDataset` for Keras, which does not read it here."""


class Custom(LoaderSettings):
    """Your Sequence or PyDataset class, generator function or tf.data function; with data=none."""

    kind: Literal["custom"] = "custom"

    target: DottedName
    """The class or function, as my_module.DataGenerator; called once per split, a generator function once per pass."""

    arguments: Arguments = Field(default={})
    """Its arguments for every split, by name."""

    train_arguments: Arguments = Field(default={})
    """Its arguments for training, added to `arguments`."""

    validation_arguments: Arguments | None = None
    """Its arguments for validation, added to `arguments`; null: no validation."""

    test_arguments: Arguments | None = None
    """Its arguments for the test, added to `arguments`; null: no test."""

    train_steps: PositiveInt | None = None
    """Batches per training pass, if the target has no length: a generator, an endless tf.data.Dataset."""

    validation_steps: PositiveInt | None = None
    """Batches per validation pass, if the target has no length."""

    test_steps: PositiveInt | None = None
    """Batches per test pass, if the target has no length."""

    class_mode: HeadMode | dict[str, HeadMode] | None = None
    """The kind of `y`; null: detected from the first batch. A mapping if `y` is one, {bi: binary, multi: sparse}.
    mask: a class number for each pixel, shape (samples, height, width) or with an axis of one channel."""

    classes: PositiveInt | Names | dict[str, PositiveInt | Names] | None = None
    """The number of classes, or their names; required if `y` holds class numbers, also for each pixel."""

    ignore_value: Count | None = None
    """The class number of pixels of a mask that count neither in the loss nor in scores; null: all pixels count."""

    workers: Count = 0
    """Threads that read batches of a Sequence ahead; it must be thread-safe. 0: the training thread reads."""

    unused: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "use_multiprocessing",
        "shuffle",
        "drop_remainder",
        "order",
        "block_mb",
        "window_mb",
        "fetch_ahead",
        "cache",
        "cache_dir",
    )

    @model_validator(mode="after")
    def _target_draws_the_samples(self) -> Self:
        given = {"balance": self.balance, "draw_by": self.draw_by}
        for key, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{key} must be null with loader=custom, got {value}; {self.target} makes the batches and draws "
                    "their samples"
                )
        return self

    @model_validator(mode="after")
    def _steps_have_their_split(self) -> Self:
        for split in ("validation", "test"):
            if getattr(self, f"{split}_steps") is not None and getattr(self, f"{split}_arguments") is None:
                raise ValueError(
                    f"{split}_steps needs {split}_arguments; set loader.{split}_arguments={{}} if it takes none"
                )
        return self

    def names(self) -> Iterator[tuple[str, str]]:
        """The key that names the user's code, and its value."""
        yield "target", self.target

    def idle_keys(self) -> tuple[str, ...]:
        """Keys without an effect in these settings."""
        ahead = ("max_queue_size",) if self.workers == 0 else ()
        return (*self.unused, *ahead)

    def num_bytes(self, spec: SampleSpec, num_samples: int, read: SampleSpec | None = None) -> int:
        """Bytes of the batches that are read ahead or in use, with `num_samples` samples each."""
        ahead = self.max_queue_size if self.workers else 0
        return (ahead + IN_FLIGHT) * num_samples * spec.num_bytes

    def open(self) -> Dataset:
        """Call the target for every split, and read the first batch of each to learn its shapes.

        Raises `ConfigurationError` if the target fails or has no batches, `DataError` if a first batch cannot be used.
        """
        from runner.loaders.custom_heads import heads_of

        opened = {split: self._open(split) for split in SPLITS if self._given(split) is not None}
        without = [split for split, part in opened.items() if part.first.y is None]
        if without:
            raise ConfigurationError(
                f"loader.target must give (x, y) to train and validate, got only x for {', '.join(without)} from "
                f"{self.target}"
            )
        first = opened["train"].first
        heads = heads_of(first.x, first.y, self.class_mode, self.classes, self.ignore_value)  # type: ignore[arg-type]
        return self._dataset(opened, heads, training=True)

    def open_for(self, heads: tuple[Head, ...], split: str | None = None) -> Dataset:
        """One split for a model with these heads: `split`, or the test or validation split.

        Raises as `open` does.
        """
        held_out = next((name for name in ("test", "validation") if self._given(name) is not None), "train")
        chosen = split or held_out
        if self._given(chosen) is None or (split is None and held_out == "train"):
            raise ConfigurationError(
                f"loader.{split or 'test'}_arguments must be given to read {split or 'test'}, got null; give the "
                f"arguments of {self.target}, or choose another split: split=train"
            )
        return self._dataset({chosen: self._open(chosen)}, heads, training=False)

    def build(self, source: Source, plan: Plan, transforms: Transforms = ()) -> CustomLoader:
        """A loader of the batches of a split; the plan counts each batch as one sample.

        Raises `ConfigurationError` for a source of samples.
        """
        from runner.loaders.custom_batches import CustomBatches, CustomLoader

        if not isinstance(source, CustomBatches):
            raise ConfigurationError("loader=custom must go with data=none, because it makes the batches itself")
        return CustomLoader(source, plan)

    def _dataset(self, opened: Mapping[str, OpenedSplit], heads: tuple[Head, ...], *, training: bool) -> Dataset:
        from runner.loaders.custom_batches import BatchOrigin, CustomBatches

        detected = frozenset(head.name for head in heads if self._is_detected(head))
        splits = {
            split: CustomBatches(
                BatchOrigin(self.target, split, detected),
                part.passes,
                first=part.first,
                rest=part.rest,
                heads=heads if part.first.y is not None else (),
                training=training and split == "train",
            )
            for split, part in opened.items()
        }
        firsts = [part.first for part in opened.values()]
        file = file_of(module_of(self.target))
        return Dataset(
            splits,
            heads if any(first.y is not None for first in firsts) else (),
            firsts[0].spec,
            notes=tuple(self._notes(splits)),
            files=(file,) if file else (),
            batches=ReadyBatches(
                steps={split: batches.num_steps for split, batches in splits.items()},
                size=max(len(first.x) for first in firsts),
            ),
        )

    def _is_detected(self, head: Head) -> bool:
        modes = self.class_mode
        return modes is None or (isinstance(modes, dict) and head.name not in modes)

    def _notes(self, splits: Mapping[str, CustomBatches]) -> Iterator[str]:
        yield f"{self.target} makes the batches; other loaders or worker counts may give other batches"
        yield (
            f"exact resume is impossible: {self.target} would restart at its first batch; resume_inexact=true allows it"
        )
        if not any(batches.named for batches in splits.values()):
            yield f"{self.target} has no ids; a sample's id is its position in a pass"
        given = [self._given(split) or {} for split in splits]
        for_keras = [name for name in FOR_KERAS if any(name in arguments for arguments in (self.arguments, *given))]
        if for_keras:
            yield (
                f"arguments without effect: {', '.join(for_keras)}, because Keras does not read these batches; "
                "loader.workers=4 reads them ahead in threads"
            )

    def _given(self, split: str) -> Arguments | None:
        arguments: Arguments | None = getattr(self, f"{split}_arguments")
        return arguments

    def _open(self, split: str) -> OpenedSplit:
        from runner.loaders.custom_target import BatchTarget

        arguments = {**self.arguments, **(self._given(split) or {})}
        return BatchTarget(self.target, split, arguments, getattr(self, f"{split}_steps")).open(self)
