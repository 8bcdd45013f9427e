"""The first screen of the page of a run: its figures with the epochs they belong to, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from runner.messages import format_bytes, plural, shape_text
from runner.records.metrics import PHASE
from runner.records.output import csv_text, phase_texts, rounded
from runner.records.run_folder import RunFolder, is_number
from runner.reports.html import share
from runner.transforms.settings import MIXING

MAX_CHANGED = 16
"""The most keys to show; the configuration further down has all."""


@dataclass(frozen=True)
class Figure:
    """A number of a run as text, and which epoch or part of the run it belongs to."""

    name: str
    text: str
    of: str = ""


def figures(run: RunFolder, document: Mapping[str, Any], best: Mapping[str, Any] | None) -> list[Figure]:
    """The evaluation, its loss last; the best epoch; wait, speed and memory of training."""
    return [*_evaluated(run, document, best), *_best(run, best), *_training(run, document)]


def _evaluated(run: RunFolder, document: Mapping[str, Any], best: Mapping[str, Any] | None) -> Iterator[Figure]:
    evaluated = document["results"].get("evaluate") or {}
    numbers = [(name, value) for name, value in evaluated.items() if is_number(value)]
    for name, value in sorted(numbers, key=lambda entry: entry[0].endswith("loss")):
        title = f"{evaluated.get('split', '')} {name.replace('_', ' ')}".strip()
        yield Figure(title, rounded(float(value)), _weights_of(run, best))


def _weights_of(run: RunFolder, best: Mapping[str, Any] | None) -> str:
    """The epoch whose weights were evaluated; nothing for a model of another run."""
    if not run.metrics:
        return ""
    last = ((run.final_config.get("train") or {}).get("phases") or [{}])[-1]
    stopping = last["early_stopping"] if "early_stopping" in last else run.value("train.early_stopping")
    if best is not None and (stopping or {}).get("restore_best_weights") is True:
        is_of_last = best.get(PHASE) == run.metrics[-1].get(PHASE)
        return f"epoch {best['epoch']}, the best" if is_of_last else "the best epoch of the last phase"
    return f"epoch {run.metrics[-1]['epoch']}, the last"


def _best(run: RunFolder, best: Mapping[str, Any] | None) -> Iterator[Figure]:
    """What was monitored, and the metric of validation, in the best epoch."""
    if best is None:
        return
    metrics = [name for name in best if name.startswith("val_") and not name.endswith("loss")]
    for name in ["val_loss" if "val_loss" in best else "loss", *metrics[:1]]:
        value = best.get(name)
        if is_number(value):
            yield Figure(name, rounded(float(value)), f"epoch {best['epoch']}, the best")


def _training(run: RunFolder, document: Mapping[str, Any]) -> Iterator[Figure]:
    fit = document["results"].get("fit") or {}
    last = run.metrics[-1] if run.metrics else {}
    if is_number(waited := (fit.get("wait") or {}).get("share")):
        yield Figure("wait", share(waited), "of the training time")
    if is_number(speed := last.get("images_per_second")):
        yield Figure("images/s", rounded(float(speed)), f"epoch {last['epoch']}, the last")
    if is_number(memory := fit.get("peak_memory_bytes")):
        yield Figure("peak memory", format_bytes(memory), "with workers")


def progress(run: RunFolder) -> list[str]:
    """How many of the planned epochs are done; nothing for a run that does not train."""
    planned = (run.final_config.get("train") or {}).get("epochs")
    if run.config.get("mode") not in ("run", "fit") or not isinstance(planned, int):
        return []
    return [f"{len(run.metrics):,} of {plural(planned, 'epoch')}"]


def facts(run: RunFolder, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run is made of, as labelled lines: the model and how it is trained, then the data."""
    model, data = list(_model(run, document)), list(_data(document))
    has_model = run.config.get("mode") in ("run", "fit") or document.get("from_run")
    phases = " · ".join(phase_texts(document["network"]))
    lines = [("model" if has_model else "loader", " · ".join(model)), ("phases", phases), ("data", " · ".join(data))]
    lines.append(("resumed", _resumed(document.get("resumed") or ())))
    return [(name, text) for name, text in lines if text]


def _resumed(resumes: Sequence[Mapping[str, Any]]) -> str:
    """How often a run was resumed, with which keys, and whether exactly."""
    if not resumes:
        return ""
    typed = dict.fromkeys(word for one in resumes for word in one.get("overrides") or () if word[:6] != "resume")
    inexact = ", not exactly (resume_inexact=true)" if any(one.get("inexact") for one in resumes) else ""
    return f"{plural(len(resumes), 'time')}{inexact}{f', with {chr(32).join(typed)}' if typed else ''}"


def mixed(run: RunFolder, document: Mapping[str, Any]) -> str:
    """What loss and metrics of training are of, where samples were mixed with each other; else nothing."""
    phases = document["network"].get("phases") or []
    numbers = [str(one["phase"]) for one in phases if one.get("of_mixed_samples")]
    always = len(numbers) == len(phases) if phases else any(run.value(f"data.augment.{key}") for key in MIXING)
    if not always and not numbers:
        return ""
    which = "" if always else f" in phase {', '.join(numbers)}"
    return (
        f"Loss and metrics of training{which} are those of samples mixed with each other (mixup, cutmix); those of "
        "validation are not."
    )


def _model(run: RunFolder, document: Mapping[str, Any]) -> Iterator[str]:
    network, trains = document["network"], run.config.get("mode") in ("run", "fit")
    kind = run.value("model.name") if run.value("model.kind") == "application" else run.value("model.kind")
    if trains and isinstance(kind, str):
        sizes = [plural(network["layers"], "layer"), plural(network["weights"], "weight")] if network else []
        frozen = 0 if network.get("phases") else network.get("weights", 0) - network.get("trainable_weights", 0)
        yield ", ".join([kind, *sizes, *([f"{frozen:,} of them do not train"] if frozen else [])])
    if not trains and isinstance(path := (document.get("from_run") or {}).get("path"), str):
        yield f"{kind} of {PurePath(path).name}"
    if trains and isinstance(optimizer := run.value("train.optimizer"), str) and not run.value("train.phases"):
        rate = run.value("train.learning_rate")
        yield f"{optimizer} {rounded(rate) if isinstance(rate, float) else csv_text(rate)}"
    loader = document.get("loader") or run.config.get("loader") or {}
    if is_number(size := loader.get("batch_size")):
        yield f"batches of {size}"
    if kind := loader.get("kind"):
        workers = loader.get("workers") or 0
        readers = (
            plural(workers, "process", "processes") if loader.get("use_multiprocessing") else plural(workers, "thread")
        )
        yield f"{kind}, {readers}" if workers else str(kind)
    if isinstance(backend := document.get("backend"), str) and backend:
        yield backend
    if (seed := (document.get("seeds") or {}).get("seed")) is not None:
        yield f"seed {seed}"


def _data(document: Mapping[str, Any]) -> Iterator[str]:
    data = document["data"]
    counts = data.get("samples") or {}
    if counts:
        yield ", ".join(f"{count:,} {split}" for split, count in counts.items() if count is not None)
    for head in data.get("heads") or ():
        if names := head.get("class_names"):
            yield plural(len(names), "class", "classes") + (f" of {head['name']}" if head.get("name") else "")
    fields = data.get("fields") or ({"": data} if data.get("shape") else {})
    for name, field in fields.items():
        yield f"{name} {shape_text(field['shape'])} {field['dtype']}".strip()


def changed(document: Mapping[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """The keys that differ from the defaults, with their values, and how many more there are."""
    entries = [(key, csv_text(value)) for key, value in document["changed"].items()]
    return entries[:MAX_CHANGED], max(0, len(entries) - MAX_CHANGED)
