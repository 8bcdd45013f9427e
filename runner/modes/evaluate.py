"""`mode=evaluate` and `mode=predict`: the model of an earlier run, on any data that has its classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runner.batch import ArraySpec
from runner.data.dataset import Dataset
from runner.data.labels import heads_document, target_fields
from runner.data.views import join
from runner.errors import DataError
from runner.fields import input_spec, named_specs
from runner.loaders.loader import Loader
from runner.messages import first_few, plural, shape_text
from runner.modes.context import RunContext, data_stage, open_loaders, prepare_loading
from runner.modes.figures import picture_data
from runner.modes.model_means import predict_mean, refuse_known
from runner.modes.open_data import data_section, open_dataset, samples_of
from runner.modes.results import predict_split, predicted_section
from runner.modes.scores import evaluate_parts, evaluate_split, model_of_rank
from runner.modes.summary import model_lines
from runner.modes.trained_samples import notes_on_trained
from runner.records.mask_files import PREDICTIONS
from runner.records.predictions import PREDICTIONS_CSV
from runner.records.run_folder import RunFolder
from runner.settings import Settings

if TYPE_CHECKING:
    import keras

HELD_OUT = ("validation", "test")
"""The splits that a model must not have been trained on."""

ALL = "all"
"""The name of the split that holds all samples."""


def use_model(run: RunContext, runs: tuple[RunFolder, ...]) -> Dataset:
    """Open the data, load the model, then evaluate or predict; with several, their mean. Returns the data.

    Raises `DataError` if the data does not fit the model, or has no labels to evaluate on; and for several models if
    one was trained on the samples.
    """
    mode, trained = run.config.mode, runs[0]
    with data_stage(run):
        dataset, config = open_to_use(run.config, trained, held_out=len(runs) > 1)
        split, section = split_to_use(run, dataset), data_section(dataset)
        if dataset.batches is None and (split in HELD_OUT or (len(runs) > 1 and split == ALL)):
            source, fingerprint = dataset.splits[split], section["fingerprint"]
            known = [note for one in runs for note in notes_on_trained(config, one, split, source, fingerprint)]
            if len(runs) > 1:
                refuse_known(known)
            dataset = replace(dataset, notes=(*dataset.notes, *known))
        settings = prepare_loading(run, dataset, (split,), {**section, "notes": dataset.notes})
        for one in runs:
            refuse_unfit(run.config, one, dataset, split)
        if run.rank.leads:
            picture_data(run.record.path, replace(dataset, splits={split: dataset.splits[split]}))
    with open_loaders(run, settings, dataset, (split,), training=False) as loaders:
        if len(runs) > 1:
            with run.record.stage(mode):
                predict_mean(run, runs, loaders[split], split)
            return dataset
        with run.record.stage("load"):
            model = own = _load(run, trained)
            if mode == "evaluate" and any(head.mode == "mask" for head in trained.heads):
                own = model_of_rank(run, model, trained.path / trained.model)
        with run.record.stage(mode):
            if mode == "evaluate":
                _evaluate(run, trained, model, own, loaders[split], split)
            else:
                _predict(run, trained, own, loaders[split], split)
        if mode == "evaluate":
            evaluate_parts(run, model, own, dataset, settings, split)
    return dataset


def open_to_use(config: Settings, trained: RunFolder, *, held_out: bool = False) -> tuple[Dataset, Settings]:
    """The data with the model's classes, and its settings.

    It is one split if no split is requested and it has no labels; or with `held_out`, which may only be samples that
    are new, no test split.
    """
    dataset = open_dataset(config, trained.heads)
    divided = "test" in dataset.splits if held_out else dataset.heads
    if divided or config.split is not None or dataset.batches is not None:
        return dataset, config
    undivided = config.model_copy(update={"data": samples_of(config).undivided()})
    dataset = open_dataset(undivided, trained.heads)
    return replace(dataset, splits={ALL: join(tuple(dataset.splits.values()))}, notes=()), undivided


def split_to_use(run: RunContext, dataset: Dataset) -> str:
    """The split to read: the requested one, else one that was held out from training."""
    requested, existing = run.config.split, list(dataset.splits)
    if requested is not None and requested not in existing:
        raise DataError(f"split must be one of {', '.join(existing)}, got {requested!r}: the data has no such split")
    split: str | None = requested or next((name for name in (ALL, "test", "validation") if name in existing), None)
    if split is None and run.config.mode == "export":
        return "train"
    if split is None:
        raise DataError(
            "the data has no test or validation split; add split=train to use samples that the model may have "
            "been trained on"
        )
    if requested is None and split == "validation":
        run.terminal.note("no test split: reading validation")
    return split


def refuse_unfit(config: Settings, trained: RunFolder, dataset: Dataset, split: str) -> None:
    """Raise `DataError` if the split has no labels to evaluate on, or the model cannot take its samples."""
    if config.mode == "evaluate" and not dataset.splits[split].labels.heads:
        raise DataError("mode=evaluate needs labels, and the data has none; use mode=predict")
    before, specs = trained.document["data"], dict(named_specs(input_spec(dataset.spec, target_fields(dataset.heads))))
    fields = before.get("fields") or {"": before}
    if fields.keys() != specs.keys():
        raise DataError(
            f"the model of {trained.path} takes {_named(fields)}, got {_named(specs)}; give samples of the same arrays"
        )
    for name, spec in specs.items():
        _refuse_other_values(f"the model of {trained.path} takes", name, spec, fields[name])


def _named(fields: Iterable[str]) -> str:
    """The arrays of a sample, for a message."""
    return first_few(sorted(fields)) if set(fields) != {""} else "one array per sample"


def _refuse_other_values(takes: str, name: str, spec: ArraySpec, before: Mapping[str, Any]) -> None:
    """Raise `DataError` for an array of another shape than in training, or another range of values."""
    samples = name or "samples"
    if list(spec.shape) != before["shape"]:
        raise DataError(
            f"{takes} {samples} of shape {shape_text(before['shape'])}, got {shape_text(spec.shape)}; for images set "
            "data.target_size and data.color_mode as in that run"
        )
    # The model scales the range of values it was trained on: 0 to 255 for uint8, another for floats.
    if str(spec.dtype) != before["dtype"] and "uint8" in (str(spec.dtype), before["dtype"]):
        raise DataError(
            f"{takes} {before['dtype']} {samples}, got {spec.dtype}; give samples with the same range of values as in "
            "training"
        )


def _load(run: RunContext, trained: RunFolder) -> keras.Model:
    from runner.callbacks.terminate_on_nan import refuse_no_numbers
    from runner.distribute.devices import variables_on, variables_on_own
    from runner.training.model_file import load, model_digest

    run.config.model.import_code()
    run.config.train.import_code()
    predicts_alone = run.config.mode == "predict" and run.rank.world > 1
    with (variables_on_own if predicts_alone else variables_on)(run.config.distribute):
        model = load(trained.path / trained.model)
    refuse_no_numbers(model, f"in {trained.path / trained.model}")
    run.terminal.summary(model_lines(trained, model.count_params()))
    used = {"path": trained.path, "model": trained.model, "weights": model_digest(model)}
    run.record.update(from_run={**used, "heads": heads_document(trained.heads)})
    return model


def _evaluate(
    run: RunContext, trained: RunFolder, model: keras.Model, own: keras.Model, loader: Loader, split: str
) -> None:
    from runner.models.base import outputs_of

    heads = trained.heads
    results = evaluate_split(run, model, own, loader, heads=heads, outputs=outputs_of(heads, loader.spec))
    run.terminal.results(split, results)
    run.record.update(results={"evaluate": {"split": split, "model": trained.model, **results}})


def _predict(run: RunContext, trained: RunFolder, model: keras.Model, loader: Loader, split: str) -> None:
    from runner.models.base import outputs_of

    heads = trained.heads
    count, _ = predict_split(run, model, loader, split, heads=heads, outputs=outputs_of(heads, loader.spec))
    kinds = {"masks": any(head.mode == "mask" for head in heads), "arrays": any(head.shape for head in heads)}
    files = "".join(f", {kind} in {PREDICTIONS}" for kind, is_there in kinds.items() if is_there)
    run.terminal.summary([("predict", f"{plural(count, 'sample')} of split {split}, in {PREDICTIONS_CSV}{files}")])
    run.record.update(results={"predict": {**predicted_section(run.config, split), "model": trained.model}})
