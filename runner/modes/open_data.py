"""Open the data of a configuration, ready to use: its samples, the transforms between them and a batch.

`data_section` is the section `data` of run.json.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from runner.data.class_notes import with_class_notes
from runner.data.dataframe import DataFrame
from runner.data.dataset import Data, Dataset, NoData
from runner.data.directory import Directory
from runner.data.labels import Head, heads_document, target_fields
from runner.data.source import Source
from runner.errors import ConfigurationError, DataError
from runner.fields import Layout, SampleSpec, input_spec, named_specs
from runner.images.original_size import OriginalSize
from runner.loaders.blend import Blend, blend_of
from runner.loaders.custom import Custom
from runner.loaders.draw import Draw
from runner.loaders.drawings import draw_notes
from runner.loaders.reader import OnBad, SampleReader, allocate, naming_sample
from runner.records.digests import data_fingerprint
from runner.records.original_masks import Original
from runner.records.run_folder import RunFolder
from runner.settings import DRAWING, PREDICTING, Settings
from runner.training.in_phase import in_phase
from runner.transforms.augment import augment
from runner.transforms.transform import (
    OF_TRAINING,
    TRANSFORM,
    Function,
    Transforms,
    UserTransform,
    informed,
    transformed_spec,
)
from runner.user_code import resolve


def open_dataset(config: Settings, heads: tuple[Head, ...] | None = None) -> Dataset:
    """Open the data component, or the batches of `loader=custom`, ready to use.

    `heads` are those of a saved model. The dataset's `spec` is the shape and dtype of a sample in a batch; one sample
    is read to learn it if `data.transform` is set.

    Raises `DataError` if there is nothing to train on, a class or target is unknown to the model, the samples cannot be
    transformed as `config` asks, or there are no masks to enlarge; `ConfigurationError` if they cannot be mixed.
    """
    if isinstance(config.loader, Custom):
        return config.loader.open() if heads is None else config.loader.open_for(heads, config.split)
    data = samples_of(config)
    dataset = with_class_notes(data.open(), limited=data.limit is not None) if heads is None else data.open_for(heads)
    if config.mode in DRAWING:
        dataset = replace(dataset, notes=(*dataset.notes, *draw_notes(config.loader, dataset.splits["train"])))
    if (original := original_of(config)) is not None:
        original.refuse_unfit(dataset.heads if heads is None else heads)
    dataset = replace(dataset, spec=_batch_spec(config, *next(iter(dataset.splits.items()))))
    if config.mode in DRAWING:
        for phase in (None, *range(len(config.train.phases))):
            blend_for(config, dataset, phase)
    return dataset


def blend_for(config: Settings, dataset: Dataset, phase: int | None = None) -> Blend | None:
    """How training batches are mixed, outside of phases or in one of them; None if they are not.

    Raises `ConfigurationError` if they cannot be.
    """
    is_given = phase is not None and "augment" in config.train.phases[phase].model_fields_set
    called = f"train.phases[{phase}].augment" if is_given else "data.augment"
    augment = samples_of(config if phase is None else in_phase(config, phase)).augment
    return blend_of(augment, dataset.spec, dataset.heads, config.seed, called)


def refuse_unlabelled(config: Settings, dataset: Dataset) -> None:
    """Raise `ConfigurationError` for data without labels, unless the model is the user's own, which may need none."""
    if not dataset.heads and config.model.kind != "custom":
        group = "loader" if isinstance(config.loader, Custom) else "data"
        raise ConfigurationError(
            f"mode={config.mode} must have labels to train on, got {group}.class_mode=null; set another class_mode, "
            "such as input, which learns the sample itself; mode=predict from_run=RUN predicts samples without labels"
        )


def open_repeated(config: Settings, earlier: RunFolder) -> Dataset:
    """Open the data of a run that resumes or repeats `earlier`, with the names and the order of its classes.

    Another version may have ordered the same classes in another way. Where the data or `data.classes` is another, the
    classes are those of the data; also in a rerun whose classes were read in another way, which a note says.

    Raises `DataError` as `open_dataset` does.
    """
    dataset, heads = open_dataset(config), earlier.heads
    if dataset.batches is not None or heads == dataset.heads or _forms(heads) != _forms(dataset.heads):
        return dataset
    before = earlier.document["data"].get("fingerprint")
    if getattr(config.data, "classes", None) is not None or data_fingerprint(dataset.stat()) != before:
        return dataset
    try:
        return replace(open_dataset(config, heads), notes=dataset.notes)
    except DataError as error:
        if config.resume is not None:
            raise
        return replace(dataset, notes=(*dataset.notes, f"the classes are not those of {earlier.path}: {error}"))


def _forms(heads: tuple[Head, ...]) -> list[Head]:
    """The heads without the names of their classes."""
    return [replace(head, class_names=()) for head in heads]


def _batch_spec(config: Settings, split: str, source: Source) -> SampleSpec:
    """Shape and dtype of a sample of `source`, the samples of `split`, in a batch."""
    augmentation = _augmentation(config, source, training=False)
    reader = SampleReader(source, augmentation, _any_sample(config), checks_values=False)
    is_drawn = split == "train" and config.mode in DRAWING
    name, own = samples_of(config).transform, _own_augmentation(config, split, reader.spec) if is_drawn else ()
    if name is None and not own:
        return reader.spec
    x = allocate(reader.spec, 1)
    index = int(reader.fill(Draw.of_pass(np.zeros(1, np.int64), 0), x).indices[0])
    with naming_sample(source, index):
        for transform in own:
            transform(x[0].copy(), 0, 0)
        if name is None:
            return reader.spec
        spec = transformed_spec(name, _function(config, name, split, training=split == "train"), x[0], config.seed)
    if original_of(config) and not _sizes(reader.spec).items() <= _sizes(spec).items():
        raise DataError(
            f"data.transform={name} must keep height and width of the samples, {reader.spec}, with "
            f"predict.original_size=true; got {spec}; set predict.original_size=false"
        )
    if spec != reader.spec and samples_of(config).transform_on == "training":
        raise DataError(
            f"data.transform={name} must keep shape and dtype of the samples, {reader.spec}, with "
            f"data.transform_on=training, because other samples are not changed; got {spec}"
        )
    return spec


def _sizes(spec: SampleSpec) -> dict[str, tuple[int, ...]]:
    """Height and width of each array of a sample."""
    return {name: one.shape[:2] for name, one in named_specs(spec)}


def original_of(config: Settings) -> Original | None:
    """How predicted masks get the size of their images; None if they keep the size that the model sees."""
    data = config.data
    if not (config.predict.original_size and config.mode in PREDICTING and isinstance(data, Directory | DataFrame)):
        return None
    size = OriginalSize(data.target_size, data.keep_aspect_ratio, data.augment.crop)
    return Original(size, data.ignore_value)


def transforms_of(config: Settings, dataset: Dataset, split: str, source: Source, *, training: bool) -> Transforms:
    """The transforms of a sample of `split` between its source and a batch: augmentation, then `data.transform`."""
    data, transforms = samples_of(config), _augmentation(config, source, training=training)
    if training:
        transforms += _own_augmentation(config, split, transforms[-1].spec if transforms else source.spec)
    if data.transform is None or (data.transform_on == "training" and not training):
        return transforms
    function = _function(config, data.transform, split, training=training)
    return (*transforms, UserTransform(data.transform, function, dataset.spec, config.seed, training))


def _augmentation(config: Settings, source: Source, *, training: bool) -> Transforms:
    # Without ignored pixels the first class fills a mask where there is no image.
    masks = {head.field: head.ignored or 0 for head in source.labels.heads if head.mode == "mask" and head.field}
    return augment(samples_of(config).augment, source.spec, config.seed, training=training, masks=masks)


def _own_augmentation(config: Settings, split: str, spec: SampleSpec) -> Transforms:
    """The augmentation by a function of the user's, of samples of `spec`, if there is one."""
    name = samples_of(config).augment.transform
    if name is None:
        return ()
    function = _function(config, name, split, training=True, key=OF_TRAINING)
    return (UserTransform(name, function, spec, config.seed, True, OF_TRAINING),)


def _function(config: Settings, name: str, split: str, *, training: bool, key: str = TRANSFORM) -> Function:
    function = resolve(name, config.extensions)
    if not callable(function):
        raise ConfigurationError(f"{key} must be a function, got {name}, which is {function!r}")
    return informed(function, split=split, training=training)


def _any_sample(config: Settings) -> OnBad:
    """Any other sample takes the place of a bad one, unless a bad one ends the run."""
    return OnBad("raise" if samples_of(config).on_bad == "raise" else "substitute", config.seed)


def samples_of(config: Settings) -> Data:
    """The data component, where the runner reads samples."""
    if isinstance(config.data, NoData):
        raise ConfigurationError(f"data=none needs loader=custom, got loader={config.loader.kind}")
    return config.data


def data_section(dataset: Dataset) -> dict[str, Any]:
    """The section `data` of run.json: splits, shape and dtype of a sample, classes, a digest of all files' states."""
    return {
        **_amount(dataset),
        **_spec_section(input_spec(dataset.spec, target_fields(dataset.heads))),
        "classes": {head.name or "label": head.class_names for head in dataset.heads},
        "heads": heads_document(dataset.heads),
        "fingerprint": data_fingerprint(dataset.stat()),
        "notes": dataset.notes,
    }


def _spec_section(spec: SampleSpec) -> dict[str, Any]:
    """Shape and dtype of a sample; `fields` holds them by name if a sample has several arrays."""
    if isinstance(spec, Layout):
        return {"fields": {name: _spec_section(one) for name, one in spec.specs}}
    return {"shape": spec.shape, "dtype": str(spec.dtype)}


def _amount(dataset: Dataset) -> dict[str, Any]:
    """The number of samples in each split; of ready-made batches, the number of batches in a pass."""
    if dataset.batches is not None:
        return {"steps": dataset.batches.steps}
    return {"samples": {split: len(source) for split, source in dataset.splits.items()}}
