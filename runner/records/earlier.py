"""Checks of the earlier run that `resume`, `rerun`, `verify` or `from_run` names.

Each check returns the run, or raises `ConfigurationError` with what to give instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.errors import ConfigurationError, RunnerError
from runner.records.config_yaml import read_config
from runner.records.diff import changed_code, changed_keys, changed_packages
from runner.records.heartbeat import describe_process, is_visible
from runner.records.metrics import read_metrics
from runner.records.provenance import git_state, versions
from runner.records.record import RUN_JSON
from runner.records.run_folder import LATEST, MODELS, RunFolder, read_run
from runner.records.user_modules import changed_modules, code_digests

TRAINING = ("run", "fit")
"""Modes that train."""

FREE = (
    "mode",
    "name",
    "tags",
    "note",
    "resume",
    "resume_inexact",
    "resume_takeover",
    "rerun",
    "verify",
    "bench",
    "export",
    "pack",
    "predict",
    "tracker",
    "distribute",
    "train.epochs",
    "train.checkpoint_every",
    "data.max_bad",
    "data.root",
    "data.path",
    "data.manifest",
    "data.validation_manifest",
    "data.test_manifest",
    "data.partition",
    "data.labels",
    "data.validation_root",
    "data.test_root",
    "data.masks",
    "data.targets",
    "data.shards",
    "data.validation_shards",
    "data.test_shards",
    "data.index_dir",
)
"""Keys that a resume may change: the weights do not depend on them. Moved data is compared by its fingerprint."""

OF_THE_BATCHES = ("batch_size", "shuffle", "drop_remainder", "order", "block_mb", "window_mb", "balance", "draw_by")
"""Loader keys that decide what is in a batch; all others only decide how samples are read."""


PART_KEY = re.compile(r"^data\.parts\.[^.]+\.")
"""The beginning of a key of a part of `data=mix`: what a resume may change there is what it may in other data."""


def run_to_rerun(path: Path) -> RunFolder:
    """The run in `path`, whatever its status."""
    return _readable(path, "rerun")


def run_to_compare(path: Path) -> RunFolder:
    """The run in `path`, which has ended and has results to compare with."""
    run = _readable(path, "rerun")
    if run.status == "running":
        raise ConfigurationError(f"verify must compare with a run that has ended, got {path}, which is still running")
    if not read_metrics(path) and not run.document.get("results"):
        raise ConfigurationError(
            f"verify must compare with a run that completed an epoch, got {path} ({run.status}); leave verify out"
        )
    return run


def run_to_resume(path: Path, *, takeover: bool = False) -> RunFolder:
    """The run in `path`, which trains and has ended, whatever its status.

    With `takeover`, a run that cannot be seen from here counts as ended.
    """
    run = _readable(path, "resume")
    if run.config.get("mode") not in TRAINING:
        raise ConfigurationError(f"resume must be a run that trains, got {path}, of mode={run.config.get('mode')}")
    process = run.document.get("process") or {}
    if run.status == "running" and not (takeover and not is_visible(process)):
        where = describe_process(process, path / RUN_JSON, "resume_takeover=true")
        raise ConfigurationError(f"resume must be a run that has ended, got {path}, which is still running on {where}")
    return run


def run_to_use(path: Path) -> RunFolder:
    """The run in `path`, which has a model, whatever its status; the model is not read."""
    run = _readable(path, "from_run")
    if not (path / run.model).is_file() or "heads" not in run.document["data"]:
        raise ConfigurationError(_no_model(run))
    return run


def _readable(path: Path, key: str) -> RunFolder:
    """The run that `key` names; its config.yaml and run.json can be read."""
    read_config(path, key)
    try:
        read_run(path)
    except RunnerError as error:
        raise ConfigurationError(f"{key} must be the folder of a run, got {path}: {error}") from error
    return RunFolder(path)


def _no_model(run: RunFolder) -> str:
    """The message for a run without a model, and which run to give instead."""
    used, stage = run.document.get("from_run") or {}, run.document.get("stage")
    during = f" during {stage}" if stage else ""
    mend = f"give from_run={used['path']}, whose model it used" if "path" in used else "give a run that was trained"
    return (
        f"from_run must be a run with a model, got {run.path} ({run.status}{during}), which has neither "
        f"{' nor '.join(MODELS)}; {mend}"
    )


def resume_differences(
    run: RunFolder, config: Mapping[str, Any], backend: str, given: Mapping[str, str]
) -> Iterator[str]:
    """Every change since `run` that makes an exact resume with `config` impossible: keys, packages and code.

    `given` are digests of code in addition to that of the configuration.
    """
    for key, difference in changed_keys(run.config, config):
        on_bad, phases = key == "data.on_bad", key == "train.phases"
        if _may_change(key) or (on_bad and _has_no_bad_sample(run)) or (phases and _adds_phases(run, config)):
            continue
        yield difference
    installed, before = versions(backend), run.document["versions"]
    yield from changed_packages({name: version for name, version in before.items() if name in installed}, installed)
    yield from changed_code(run.document["git"], git_state())
    yield from changed_modules(run.document.get("code"), {**code_digests(config.get("extensions") or ()), **given})


def _may_change(key: str) -> bool:
    key = PART_KEY.sub("data.", key)
    group, _, name = key.partition(".")
    return (group == "loader" and name not in OF_THE_BATCHES) or any(f"{key}.".startswith(f"{free}.") for free in FREE)


def _has_no_bad_sample(run: RunFolder) -> bool:
    """Whether the run read every sample so far, so that what to do with a bad one made no difference."""
    return run.config["data"].get("on_bad", "raise") == "raise" and not run.document["data"].get("bad_samples")


def _adds_phases(run: RunFolder, config: Mapping[str, Any]) -> bool:
    """Whether the phases of `config` begin with all those of the run, which has some."""
    before = run.final_config["train"].get("phases") or []
    return bool(before) and config["train"]["phases"][: len(before)] == before


def newest_training(outputs: Path, *, with_model: bool = False) -> Path | None:
    """The folder of the newest run in a mode that trains, and that is no debug run; None if there is none.

    The link `latest` goes first; folders of runs are named by their time.
    """
    runs = outputs / "runs"
    older = sorted(runs.iterdir(), reverse=True) if runs.is_dir() else []
    fits = _has_model if with_model else _trains
    return next((folder.resolve() for folder in (outputs / LATEST, *older) if fits(RunFolder(folder))), None)


def _trains(run: RunFolder) -> bool:
    return run.config.get("mode") in TRAINING and not run.is_debug


def _has_model(run: RunFolder) -> bool:
    return _trains(run) and (run.path / run.model).is_file() and "heads" in (run.document.get("data") or {})
