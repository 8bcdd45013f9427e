"""Results of a model on one split: loss, metrics and scores for run.json; predictions.csv, masks and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.data.dataset import Dataset
from runner.data.labels import Head
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.models.base import Output, Task
from runner.modes.context import RunContext
from runner.modes.figures import picture_worst
from runner.modes.open_data import original_of
from runner.modes.scores import evaluate_parts, model_of_rank
from runner.records.folder import MODEL
from runner.records.predictions import FOLD_CSV, PREDICTIONS_CSV
from runner.settings import Settings

if TYPE_CHECKING:
    import keras


def predict_split(
    run: RunContext,
    model: keras.Model,
    loader: Loader,
    split: str,
    *,
    heads: tuple[Head, ...],
    outputs: tuple[Output, ...],
) -> tuple[int, dict[str, Any]]:
    """Write predictions, and pictures of the worst. Returns the number of samples, and the scores of masks.

    The ranks of a group each predict some batches, with a `model` of their own; rank 0 writes all.
    """
    from runner.training.inference import predict_to
    from runner.training.segmentation import Segmentation, has_arrays

    folder, exchange, loader.share = run.record.path, run.exchange, None
    if not has_arrays(heads):
        file = folder / PREDICTIONS_CSV
        predicted = predict_to(file, model, loader, heads=heads, outputs=outputs, exchange=exchange)
        if exchange.rank.leads:
            picture_worst(folder, split, predicted, heads)
        return len(predicted), {}
    original = original_of(run.config)
    segmentation = Segmentation(model, loader, heads=heads, outputs=outputs, original=original, exchange=exchange)
    segmentation.write(folder)
    if exchange.rank.leads:
        segmentation.write_pictures(folder, split)
    kind = "masks" if any(head.mode == "mask" for head in heads) else "arrays"
    run.record.update(digests={kind: segmentation.digest})
    return segmentation.num_samples, segmentation.scores


def predicted_section(config: Settings, split: str) -> dict[str, Any]:
    """The section `predict` of the results in run.json; `original_size` is there if masks were enlarged."""
    return {"split": split, **({"original_size": True} if original_of(config) else {})}


def evaluate_and_predict(
    run: RunContext,
    model: keras.Model,
    task: Task,
    dataset: Dataset,
    loaders: Mapping[str, Loader],
    settings: LoaderSettings,
) -> None:
    """Evaluate and predict the test split; without one, the validation split. `settings` are those of the loaders."""
    from runner.training.inference import evaluate

    split = next((name for name in ("test", "validation") if name in loaders), None)
    if split is None:
        run.terminal.note("nothing to evaluate: the data has no test or validation split")
        return
    if split != "test":
        run.terminal.note("no test split: evaluating on validation")
    with run.record.stage("evaluate"):
        results = evaluate(model, loaders[split])
    with run.record.stage("predict"):
        own = model_of_rank(run, model, run.exchange.run / MODEL)
        _, scores = predict_split(run, own, loaders[split], split, heads=dataset.heads, outputs=task.outputs)
        if split == "test" and getattr(run.config.data, "fold", None) is not None:
            _predict_fold(run, own, task, dataset, loaders["validation"])
    results |= scores
    run.terminal.results(split, results)
    run.record.update(
        results={"evaluate": {"split": split, **results}, "predict": predicted_section(run.config, split)}
    )
    evaluate_parts(run, model, own, dataset, settings, split)


def _predict_fold(run: RunContext, model: keras.Model, task: Task, dataset: Dataset, loader: Loader) -> None:
    """Write the predictions of the fold that validated, next to those of the test split; none of masks and arrays."""
    from runner.training.inference import predict_to
    from runner.training.segmentation import has_arrays

    if not has_arrays(dataset.heads):
        file, loader.share = run.record.path / FOLD_CSV, None
        predict_to(file, model, loader, heads=dataset.heads, outputs=task.outputs, exchange=run.exchange)
