"""`loader=custom`: batches made by a class or function of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from runner.batch import SPLITS, ArraySpec, Batch
from runner.component import Arguments, Count, DottedName, Names, PositiveInt
from runner.data.dataset import Dataset, ReadyBatches
from runner.data.labels import Head, HeadMode
from runner.data.source import Source
from runner.errors import ConfigurationError
from runner.loaders.custom_batches import CustomBatches, Maker
from runner.loaders.custom_heads import heads_of
from runner.loaders.custom_target import Opened, Target
from runner.loaders.loader import Loader
from runner.loaders.plan import Plan
from runner.loaders.settings import IN_FLIGHT, LoaderSettings
from runner.transforms.transform import Changes
from runner.user_code import file_of, module_of

OF_KERAS = ("workers", "use_multiprocessing", "max_queue_size")
"""Arguments of a `PyDataset` that tell Keras how to read it; here it is not Keras who reads."""


class CustomLoader(Loader):
    """Batches in the order they are given; its plan counts batches, not samples."""

    source: CustomBatches

    @property
    def num_samples(self) -> int:
        """Samples seen in the present pass: there is no other way to know."""
        return self.source.num_samples

    def batch(self, epoch: int, step: int) -> Batch:
        """One batch: the next, the last one again, or one further on, which leaves out those between."""
        return next(self.epoch(epoch, step))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The rest of a pass, from step `start` on. What has gone by does not come again."""
        return self.source.batches(epoch, start)

    def close(self) -> None:
        """Stop the threads that read ahead."""
        self.source.close()


class Custom(LoaderSettings):
    """A Sequence or PyDataset class, a generator function or a tf.data function of yours; with data=none."""

    kind: Literal["custom"] = "custom"

    target: DottedName
    """The class or function, my_module.DataGenerator: called once per split, a generator function once per pass."""

    arguments: Arguments = Field(default={})
    """What it is called with for every split, by name."""

    train_arguments: Arguments = Field(default={})
    """What it is called with for training, added to `arguments`."""

    validation_arguments: Arguments | None = None
    """What it is called with for validation, added to `arguments`; null: no validation."""

    test_arguments: Arguments | None = None
    """What it is called with for the test, added to `arguments`; null: no test."""

    train_steps: PositiveInt | None = None
    """Batches in a pass of training, of what has no length: a generator, an endless tf.data.Dataset."""

    validation_steps: PositiveInt | None = None
    """Batches in a pass of validation, of what has no length."""

    test_steps: PositiveInt | None = None
    """Batches in a pass of the test, of what has no length."""

    class_mode: HeadMode | dict[str, HeadMode] | None = None
    """What `y` is; null: as the first batch looks. A mapping where `y` is a dictionary, {bi: binary, multi: sparse}."""

    classes: PositiveInt | Names | dict[str, PositiveInt | Names] | None = None
    """How many classes there are, or their names; needed where `y` holds class numbers."""

    workers: Count = 0
    """Threads that ask a Sequence for batches ahead, which must bear that; 0: the model's own thread asks."""

    unused: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "use_multiprocessing",
        "shuffle",
        "drop_remainder",
        "cache",
        "cache_dir",
    )

    @model_validator(mode="after")
    def _steps_have_their_split(self) -> Self:
        for split in ("validation", "test"):
            if getattr(self, f"{split}_steps") is not None and getattr(self, f"{split}_arguments") is None:
                raise ValueError(
                    f"{split}_steps must go with {split}_arguments, got no arguments; "
                    f"give loader.{split}_arguments={{}} where there are none"
                )
        return self

    def names(self) -> Iterator[tuple[str, str]]:
        """The key that names code of the user's, and that name."""
        yield "target", self.target

    def idle_keys(self) -> tuple[str, ...]:
        """The keys that have no effect as things stand."""
        ahead = ("max_queue_size", "timeout_seconds") if self.workers == 0 else ()
        return (*self.unused, *ahead)

    def num_bytes(self, spec: ArraySpec, num_samples: int, read: ArraySpec | None = None) -> int:
        """Bytes of the batches under way, of `num_samples` samples each."""
        ahead = self.max_queue_size if self.workers else 0
        return (ahead + IN_FLIGHT) * num_samples * spec.num_bytes

    def open(self) -> Dataset:
        """Call the target for every split, and read the first batch of each, which says what batches are.

        Raises `ConfigurationError` where the target fails or gives no batches, `DataError` where its first batches
        cannot be used.
        """
        opened = {split: self._open(split) for split in SPLITS if self._given(split) is not None}
        without = [split for split, part in opened.items() if part.first.y is None]
        if without:
            raise ConfigurationError(
                f"loader.target must give (x, y) to train and validate, got x alone for {', '.join(without)} from "
                f"{self.target}"
            )
        first = opened["train"].first
        heads = heads_of(first.x, first.y, self.class_mode, self.classes)  # type: ignore[arg-type]
        return self._dataset(opened, heads, training=True)

    def open_for(self, heads: tuple[Head, ...], split: str | None = None) -> Dataset:
        """One split for a model with these heads: `split`, else what is held out from training.

        Raises as `open` does.
        """
        held_out = next((name for name in ("test", "validation") if self._given(name) is not None), "train")
        chosen = split or held_out
        if self._given(chosen) is None or (split is None and held_out == "train"):
            raise ConfigurationError(
                f"loader.{split or 'test'}_arguments must be given to read {split or 'test'}, got null; give those of "
                f"{self.target}, or read another part: split=train"
            )
        return self._dataset({chosen: self._open(chosen)}, heads, training=False)

    def build(self, source: Source, plan: Plan, changes: Changes = ()) -> CustomLoader:
        """A loader of the batches of a split; each of them counts as one sample of the plan.

        Raises `ConfigurationError` for a source of samples.
        """
        if not isinstance(source, CustomBatches):
            raise ConfigurationError("loader=custom must go with data=none: it makes the batches itself")
        return CustomLoader(source, plan)

    def _dataset(self, opened: Mapping[str, Opened], heads: tuple[Head, ...], *, training: bool) -> Dataset:
        splits = {
            split: CustomBatches(
                Maker(self.target, split),
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

    def _notes(self, splits: Mapping[str, CustomBatches]) -> Iterator[str]:
        yield f"{self.target} makes the batches: that another loader or worker count gives the same is not promised"
        yield f"a killed run is gone on with inexactly, for {self.target} would begin anew: resume_inexact=true"
        if not any(batches.named for batches in splits.values()):
            yield f"{self.target} has no ids: samples are called by their position in a pass"
        given = [self._given(split) or {} for split in splits]
        of_keras = [name for name in OF_KERAS if any(name in arguments for arguments in (self.arguments, *given))]
        if of_keras:
            yield (
                f"{', '.join(of_keras)} among the arguments {'has' if len(of_keras) == 1 else 'have'} no effect, for "
                "Keras does not read these batches; loader.workers=4 reads them ahead in threads"
            )

    def _given(self, split: str) -> Arguments | None:
        arguments: Arguments | None = getattr(self, f"{split}_arguments")
        return arguments

    def _open(self, split: str) -> Opened:
        arguments = {**self.arguments, **(self._given(split) or {})}
        return Target(self.target, split, arguments, getattr(self, f"{split}_steps")).open(self)
