"""What to do with a run next: one sentence and one command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.images.settings import ImageSettings
from runner.messages import plural
from runner.records.columns import Objective
from runner.records.dotted import value_at
from runner.records.folder import CHECKPOINTS, call
from runner.records.output import csv_text
from runner.records.run_folder import RunFolder

LONG_WAIT = 0.1
"""The share of waiting from which on the loader comes first."""

OF_THE_USER = ("ConfigurationError", "DataError", "TrainingError")
"""Errors that the same run would meet again."""

BAD_SAMPLE = "BadSampleError"
"""The error that `data.on_bad` passes over."""

UNLABELLED = "data.class_mode=null"


@dataclass(frozen=True)
class NextStep:
    """A sentence, and the words of a command after `python -m runner`; none where there is nothing to type."""

    sentence: str
    words: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command to type; empty if there is none."""
        return shlex.join(["python", "-m", "runner", *self.words]) if self.words else ""


def next_step(
    run: RunFolder, document: Mapping[str, Any], best: Mapping[str, Any] | None, objective: Objective
) -> NextStep | None:
    """What helps most: to continue a run that stopped, to wait less, to train longer, or to use the model."""
    trains = run.config.get("mode") in ("run", "fit") and not run.is_debug
    if run.status in ("failed", "interrupted", "killed"):
        return _after_stop(run, document) if trains else _again(run, document)
    if run.status == "completed" and run.config.get("mode") in ("check", "bench"):
        return _train(document)
    if run.status != "completed" or not trains or not run.metrics or run.path.resolve().parent.name != "runs":
        return None
    return _wait_less(document) or _train_longer(run, best, objective) or _use(run, best, objective)


def _train(document: Mapping[str, Any]) -> NextStep | None:
    """Train on what was checked or measured, with the fastest loader."""
    bench = document["results"].get("bench") or {}
    if bench and not bench.get("best"):
        return None
    words = [word for word in _typed(document) if not word.startswith(("mode=", "bench."))]
    if not bench:
        return NextStep("To train on these data:", ("mode=run", *words))
    kept = [word for word in words if not word.startswith("loader=")]
    return NextStep("To train with the fastest loader:", (*kept, *str(bench["best"]).split()))


def _after_stop(run: RunFolder, document: Mapping[str, Any]) -> NextStep:
    from runner.records.state import newest_step  # imports NumPy

    if "/" in run.name:
        sweep = run.name.partition("/")[0]
        return NextStep("Once its cause is gone, run the jobs that did not end:", ("-m", f"sweep.resume={sweep}"))
    if (document["error"] or {}).get("type") in OF_THE_USER:
        return _again(run, document)
    step = newest_step(run.path / CHECKPOINTS)
    if step is None and not run.metrics:
        return _again(run, document)
    start = f"This command continues after {plural(step or 0, 'step')}"
    if step is None:
        start = "No state was saved yet; this command starts from the beginning"
    without = ", without samples that cannot be read" if _is_bad_sample(document) else ""
    return NextStep(f"{start}{without}:", resume_words(call(run.path), document, run.config))


def _again(run: RunFolder, document: Mapping[str, Any]) -> NextStep:
    if _is_bad_sample(document):
        sentence = "Repair the file, or start again without samples that cannot be read:"
        return NextStep(sentence, again_words(document, run.config))
    words = _typed(document)
    return NextStep(f"Correct what the message names, then start again{':' if words else '.'}", words)


def _is_bad_sample(document: Mapping[str, Any]) -> bool:
    return (document["error"] or {}).get("type") == BAD_SAMPLE


def _typed(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The overrides of the command line."""
    return tuple(map(str, document["overrides"] or ()))


def resume_words(name: str, document: Mapping[str, Any], config: Mapping[str, Any], *more: str) -> tuple[str, ...]:
    """The overrides that continue a run after the error in its document; `config` is that of its last attempt."""
    extensions = config.get("extensions") or ()
    listed = (f"extensions=[{','.join(extensions)}]",) if extensions else ()
    bad = (_passing_over(document, config),) if _is_bad_sample(document) else ()
    without_state = (document.get("callbacks") or {}).get("without_state")
    inexact = without_state or value_at(config, "loader.kind") == "custom"
    return (f"resume={name}", *listed, *bad, *(("resume_inexact=true",) if inexact else ()), *more)


def again_words(document: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, ...]:
    """The overrides that start a run again that met a bad sample, without any."""
    return (*_typed(document), _passing_over(document, config))


def _passing_over(document: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The key that passes over bad samples; processes that train together need batches of one size."""
    attempts = (document.get("distribute") or {}).get("attempts")
    processes = attempts[-1]["processes"] if attempts else value_at(config, "distribute.processes")
    return f"data.on_bad={'substitute' if (processes or 1) > 1 else 'skip'}"


SET = re.compile(r"(?:set|choose) (loader(?:\.\w+)?=\w+)")
RAISE = re.compile(r"raise loader\.workers \(now \d+; this machine has (\d+)")
"""Keys in the advice of `runner.loaders.advice`."""


def _wait_less(document: Mapping[str, Any]) -> NextStep | None:
    wait = (document["results"].get("fit") or {}).get("wait") or {}
    advice = str(wait.get("advice") or "")
    if (wait.get("share") or 0) < LONG_WAIT or not advice:
        return None
    raised = [f"loader.workers={found[1]}" for found in RAISE.finditer(advice)]
    keys = [*(found[1] for found in SET.finditer(advice)), *raised]
    sentence = f"{advice[0].upper()}{advice[1:]}"
    return NextStep(f"{sentence}:", (*_typed(document), keys[0])) if keys else NextStep(f"{sentence}.")


def _train_longer(run: RunFolder, best: Mapping[str, Any] | None, objective: Objective) -> NextStep | None:
    last, epochs = run.metrics[-1], (run.final_config.get("train") or {}).get("epochs")
    if (run.final_config.get("train") or {}).get("phases"):
        return None
    if best is None or not isinstance(epochs, int) or not best["epoch"] == last["epoch"] == epochs:
        return None
    sentence = f"{objective.key} was best in the last epoch, so more epochs may help:"
    return NextStep(sentence, resume_words(call(run.path), {"error": None}, run.config, f"train.epochs={2 * epochs}"))


def _use(run: RunFolder, best: Mapping[str, Any] | None, objective: Objective) -> NextStep:
    of_best = "" if best is None else f" with the weights of epoch {best['epoch']}, the best by {objective.key}"
    words = ("mode=predict", f"from_run={call(run.path)}")
    if run.value("data") == "arrays":
        return NextStep(f"To predict other samples{of_best}:", (*words, "data.path=FILE.npz", UNLABELLED))
    if run.value("data.target_size") is None or run.value("data.transform") is not None:
        return NextStep(f"To predict{of_best}, with keys of data for other samples:", words)
    folder = ("data=directory", "data.root=FOLDER", UNLABELLED)
    return NextStep(f"To predict other images{of_best}:", (*words, *folder, *_pixels(run)))


def _pixels(run: RunFolder) -> Iterator[str]:
    """The keys that make images what the model takes, where `data=directory` has other values."""
    for key, default in ImageSettings().pixel_settings().items():
        value = run.value(f"data.{key}")
        if value is not None and value != default:
            yield f"data.{key}={csv_text(value).replace(' ', '')}"
