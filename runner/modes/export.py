"""`mode=export`: the model of an earlier run in other formats, and the proof that they predict the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from runner.data.labels import Head, heads_document
from runner.errors import RunnerError, VerifyError
from runner.exports.process import BEGUN, ExportProcess
from runner.loaders.loader import Loader
from runner.messages import format_bytes, plural
from runner.modes.context import RunContext, data_stage, open_loaders, prepare_loading
from runner.modes.evaluate import open_to_use, refuse_unfit, split_to_use
from runner.modes.open_data import data_section
from runner.modes.summary import model_lines
from runner.records.files import to_json, write_atomically
from runner.records.run_folder import RunFolder
from runner.training.settings import Format

EXPORT = "export"
"""The folder of a run with its exported models."""

EXPORT_JSON = "export.json"
"""What is known of them: names, shapes and classes, digests, and the proof."""

MOST_TRAINED = 1_000
"""Samples to compare on where there are only those that the model was trained on."""


def export_model(run: RunContext, trained: RunFolder) -> VerifyError | None:
    """Write the model of `trained` in each format, and compare each with it on a split, both on the CPU.

    Returns the error to raise once the record is closed, if a format does not predict the same. Raises `RunnerError`
    if a format cannot be written, once the others are.
    """
    with _data_stage(run):
        dataset, _ = open_to_use(run.config, trained)
        split = split_to_use(run, dataset)
        settings = prepare_loading(run, dataset, (split,), data_section(dataset))
        refuse_unfit(run.config, trained, dataset, split)
    folder = run.record.path / EXPORT
    with (
        ExitStack() as closing,
        open_loaders(run, settings, dataset, (split,), training=False) as loaders,
        ExportProcess() as child,
    ):
        closing.callback(shutil.rmtree, folder / BEGUN, ignore_errors=True)  # of a process that was ended
        with run.record.stage("load"), run.terminal.waiting("loading the model on TensorFlow"):
            _load(run, trained, child, folder)
        loader = loaders[split]
        with run.record.stage("export"):
            formats = _export(run, child, next(loader.epoch(0)).x)
        with run.record.stage("verify"):
            count = _compare(run, child, loader, split)
            results = child.call("results")
    for name, result in results.items():
        formats[name] |= result
    _write(run, trained, folder, {"split": split, "samples": count, "formats": formats})
    return _judge(run, trained, formats, f"{plural(count, 'sample')} of split {split}")


def _data_stage(run: RunContext) -> AbstractContextManager[None]:
    """The stage in which data are opened. Only batches of the user's own may need Keras for it."""
    return data_stage(run) if run.config.loader.kind == "custom" else run.record.stage("data")


def _load(run: RunContext, trained: RunFolder, child: ExportProcess, folder: Path) -> None:
    file = trained.path / trained.model
    modes = {head.name or "label": head.mode for head in trained.heads}
    targets = [name for _, name in run.config.model.names()]
    facts = child.call("load", file.resolve(), folder.resolve(), modes, targets)
    run.terminal.summary(model_lines(trained, facts["num_weights"]))
    used = {"path": trained.path, "model": trained.model, "weights": facts["weights"]}
    run.record.update(from_run={**used, "heads": heads_document(trained.heads)})


def _export(run: RunContext, child: ExportProcess, x: Any) -> dict[Format, dict[str, Any]]:
    """Write each format; what is known of it, by format."""
    few = {name: values[:2] for name, values in x.items()} if isinstance(x, Mapping) else x[:2]
    formats: dict[Format, dict[str, Any]] = {}
    for name in dict.fromkeys(run.config.export.formats):
        with run.terminal.waiting(f"writing {name}"):
            formats[name] = child.call("export", name, few)
        if "failed" not in formats[name]:
            size, digest = format_bytes(formats[name]["bytes"]), formats[name]["digest"]
            file = run.record.path / EXPORT / formats[name]["path"]
            run.terminal.summary([("export", f"{name}: {file}, {size}, digest {digest}")])
    return formats


def _compare(run: RunContext, child: ExportProcess, loader: Loader, split: str) -> int:
    """Compare all formats with the model on the samples of `loader`; the number of samples."""
    most, count = (MOST_TRAINED if split == "train" else loader.num_samples), 0
    with run.terminal.counting("verify", min(most, loader.num_samples), "samples") as on_samples:
        for batch in loader.epoch(0):
            child.call("compare", batch.x)
            count += len(batch)
            on_samples(len(batch))
            if count >= most:
                break
    return count


def _write(run: RunContext, trained: RunFolder, folder: Path, found: Mapping[str, Any]) -> None:
    """Write export.json next to the models, and the results into the record."""
    document = {
        "model": trained.path / trained.model,
        "pixels": "as a loader gives them: the model scales its input itself",
        "heads": [_head(head) for head in trained.heads],
        **found,
    }
    folder.mkdir(exist_ok=True)
    write_atomically(folder / EXPORT_JSON, to_json(document), overwrite=True)
    short = ("path", "bytes", "digest", "agreement", "failed")
    formats = {name: {key: one[key] for key in short if key in one} for name, one in found["formats"].items()}
    run.record.update(results={"export": {**found, "formats": formats}})


def _head(head: Head) -> dict[str, Any]:
    """What the values of an output mean."""
    return {"name": head.name or "label", "class_mode": head.mode, "classes": list(head.class_names)}


def _judge(
    run: RunContext, trained: RunFolder, formats: Mapping[Format, Mapping[str, Any]], samples: str
) -> VerifyError | None:
    """Report how well each format agrees; the error if one does not."""
    run.terminal.summary(
        [
            ("verify", f"{name}: {_agreement(one['agreement'])} in {samples}")
            for name, one in formats.items()
            if "agreement" in one
        ]
    )
    if failed := [name for name, one in formats.items() if "failed" in one]:
        reasons = (f"{name} cannot hold this model: {formats[name]['failed']}" for name in failed)
        raise RunnerError(
            "\n".join([*reasons, f"leave {' and '.join(failed)} out of export.formats, or change the model"])
        )
    if others := list(_differences(formats)):
        return VerifyError("\n".join([f"exported models differ from {trained.path / trained.model}:", *others]))
    return None


def _agreement(outputs: Mapping[str, Mapping[str, Any]]) -> str:
    """The largest difference, in the output that has it."""
    worst = max(outputs.values(), key=lambda one: one["largest_difference"] / one["allowed"])
    other = sum(one["other_classes"] for one in outputs.values())
    has_classes = any(one["has_classes"] for one in outputs.values())
    classes = f"; {plural(other, 'prediction')} of another class" if other else ", the same classes" * has_classes
    return f"largest difference {worst['largest_difference']:.1e} (allowed {worst['allowed']:.0e}){classes}"


def _differences(formats: Mapping[Format, Mapping[str, Any]]) -> Iterator[str]:
    for name, one in formats.items():
        for output, agreement in one["agreement"].items():
            if not agreement["agrees"]:
                yield f"{name}, output {output}: {_agreement({output: agreement})}"
