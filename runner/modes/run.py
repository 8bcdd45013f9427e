"""A run, from its settings to its closed record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from runner.component import require
from runner.distribute.exchange import Exchange
from runner.distribute.launch import refuse_apart
from runner.distribute.ranks import ALONE, Rank
from runner.errors import DataError
from runner.loaders.loader import Loader
from runner.modes.bench import bench_loaders
from runner.modes.check import check_data
from runner.modes.context import RunContext
from runner.modes.debug import debug_lines, debugged
from runner.modes.defaults import chosen_keys
from runner.modes.evaluate import use_model
from runner.modes.export import export_model
from runner.modes.fit import train_model
from runner.modes.follow import gather_ranks, naming_lost_rank
from runner.modes.given import callback_digests, refuse_other_script, refuse_uncomposed, with_model
from runner.modes.initial_weights import fetch_weights
from runner.modes.model_means import refuse_unaveraged
from runner.modes.open_data import open_dataset
from runner.modes.pack import pack_data
from runner.modes.pipeline import open_loader, plan_loading
from runner.modes.resume import resumable
from runner.modes.stop import closing_record, end_process, removed_if_refused, was_refused
from runner.modes.summary import origin_lines
from runner.modes.terminal import Terminal
from runner.modes.together import Origin, is_together, joins, recorded_by_host_0, recorded_together
from runner.modes.tracker import Tracking
from runner.modes.verify import repeated, verify
from runner.records.config_yaml import write_config
from runner.records.folder import new_run_folder, outputs
from runner.records.record import RunRecord
from runner.records.run_folder import RunFolder
from runner.records.secret_keys import masked, secret_values
from runner.records.summary import summarize
from runner.records.user_modules import code_digests
from runner.reports.index_page import refresh_index
from runner.reports.live_page import LivePage
from runner.reports.page import MOST_PREDICTIONS_BYTES, write_report
from runner.settings import READING, Settings
from runner.sweeps.members import runs_to_use
from runner.sweeps.sweep_plan import SWEEP_JSON
from runner.training.backend import alone_in_process, require_backend
from runner.watchdog import Watchdog


def build_loader(config: Settings, split: str = "train") -> Loader:
    """The loader of one split: `train`, `validation` or `test`. Only `train` is shuffled.

    Close it, or use it in a `with` block, to stop its workers. If Keras is imported, `model.fit` takes the loader of
    `loader=directory_flow` as it is; for others there is `LoaderDataset`. Raises `DataError` if the data has no such
    split, or if the loader needs more memory than is free.
    """
    refuse_uncomposed(config)
    with closing(Watchdog(config.loader.timeout_seconds)) as watchdog, watchdog.watching():
        dataset = open_dataset(config)
    if split not in dataset.splits:
        raise DataError(f"split must be one of {', '.join(dataset.splits)}, got {split!r}")
    plan = plan_loading(config, dataset, (split,))
    plan.refuse_too_large()
    loader = open_loader(config, plan.settings, dataset, split, training=split == "train")
    loader.watchdog = Watchdog(plan.settings.timeout_seconds)
    return _for_keras(loader) if "keras" in sys.modules else loader


def _for_keras(loader: Loader) -> Loader:
    """A flow from class folders as Keras takes it; any other loader as it is."""
    from runner.feeds.flow import KerasFlow
    from runner.loaders.directory_flow import DirectoryFlowLoader

    return KerasFlow.of(loader) if isinstance(loader, DirectoryFlowLoader) else loader


@alone_in_process()
def run(
    config: Settings,
    *,
    model: Callable[..., Any] | None = None,
    callbacks: Sequence[Any] = (),
    folder: Path | None = None,
    origin: Origin | None = None,
    rank: Rank = ALONE,
) -> RunRecord:
    """Do what `config.mode` says. Returns the closed record, whose `path` is the run's folder.

    `model` is a function that builds the model, in place of `model.target`; `callbacks` are further ones of Keras, or
    of yours. A resume needs them again.
    With `distribute.processes`, other processes do it, of which `rank` is one. A process does one run at a time.

    Without a `folder`, a new one is made in `runs` of `config.output_dir`; a resumed run keeps its own. An error closes
    the record as failed, Ctrl-C as interrupted; both are raised again. A resume that ends before its first step changes
    nothing in the run. Once the record is closed as completed, raises `DataError` if `mode=check` found problems in the
    data, and `VerifyError` if `verify` found a difference.
    """
    refuse_uncomposed(config)
    given = with_model(config, model)
    refuse_other_script(given)
    digests, config = callback_digests(given, callbacks), debugged(given)
    origin = origin or Origin((), given.composed.overrides, given.composed.foreign_files)
    require(config.packages())
    if config.mode == "export":
        config = config.model_copy(update={"backend": "tensorflow"})
    elif config.mode not in READING:
        refuse_apart(config.backend, hosts=config.distribute.hosts)
        require_backend(config.backend)
    resumed = resumable(config, digests)
    first = repeated(config, resumed)
    trained = None if config.from_run is None else runs_to_use(config.from_run)
    refuse_unaveraged(config, trained or ())
    fetch_weights(config, resumed)
    if rank.world == 1 and joins(given):
        return recorded_by_host_0(given)
    folder = resumed.path if resumed else folder or new_run_folder(outputs(config.output_dir))
    is_new = resumed is None and rank.world == 1
    if rank.world == 1 and is_together(given):
        with removed_if_refused(folder, is_new=is_new):
            return recorded_together(given, folder, origin)
    tracking = Tracking(config, terminal := Terminal())
    findings, difference = None, None
    record = _open_record(config, folder, origin, resumed, digests)
    exchange = Exchange(rank, folder)
    watchdog = Watchdog(config.loader.timeout_seconds, partial(end_process, config, record, terminal, exchange))
    with (
        removed_if_refused(folder, is_new=is_new),
        tracking.ending(folder),
        _reporting(config, record, terminal),
        closing_record(config, record, terminal),
        closing(watchdog),
        watchdog.watching(),
        naming_lost_rank(rank, folder),
    ):
        terminal.path("run", record.path)
        _report_origin(given, config, origin, record, terminal)
        context = RunContext(config, record, terminal, tracking, exchange, callbacks)
        if resumed is None:
            context.begin()
        if config.mode == "check":
            findings = check_data(config, record, terminal)
        elif config.mode == "bench":
            bench_loaders(config, record, terminal)
        elif config.mode == "pack":
            pack_data(config, record, terminal)
        elif config.mode == "export" and trained is not None:
            difference = export_model(context, trained[0])
        else:
            dataset = train_model(context, resumed) if trained is None else use_model(context, trained)
            if rank.world > 1 and trained is None:
                gather_ranks(context)
            if first is not None:
                difference = verify(config, first, record, dataset, terminal)
    terminal.path("record", record.path)
    if findings:
        raise DataError(findings)
    if difference:
        raise difference
    return record


def _report_origin(given: Settings, config: Settings, origin: Origin, record: RunRecord, terminal: Terminal) -> None:
    """Report what is special about this run: the changes by `debug`, the user's own files, the run it repeats."""
    if given.debug is not None:
        lines = list(debug_lines(given, config))
        terminal.summary(lines)
        record.update(debug={"mode": given.debug, "changed": [text for _, text in lines[1:]]})
    terminal.summary(origin_lines(origin.foreign_files))
    terminal.summary([("rerun", f"of {config.rerun}")] if config.rerun is not None else [])


def _open_record(
    config: Settings, folder: Path, origin: Origin, resumed: RunFolder | None, given: Mapping[str, str]
) -> RunRecord:
    """The run's record; that of a resumed run is held until its training begins. `given` are more digests of code."""
    typed = masked({"argv": origin.argv, "overrides": origin.overrides}, secret_values(config.document()))
    origin = replace(origin, **typed)
    changed = masked(chosen_keys(config), secret_values(config.document()))
    if resumed is not None:
        phases = {"phases": config.train.document()["phases"]} if config.train.phases else {}
        how = {"inexact": config.resume_inexact, "epochs": config.train.epochs, **phases}
        of_run = {key: value for key, value in changed.items() if not key.startswith("resume")}
        return RunRecord.reopen(folder, {**resumed.document, "changed": of_run}, **vars(origin), **how)
    write_config(folder, config.document())
    seeds = {"seed": config.seed, **config.data.model_dump(include={"split_seed"})}
    rerun = {} if config.rerun is None else {"path": config.rerun}
    code = {**code_digests(config.extensions), **given}
    sections = {"seeds": seeds, "rerun": rerun, "code": code, "changed": changed}
    return RunRecord.open(folder, backend=config.backend, **sections, **vars(origin))


def _is_drawn_later(config: Settings, record: RunRecord) -> bool:
    """Whether this is a job of a sweep, whose end draws its page; a tracker takes the page at the end of the run."""
    return (record.path.parent / SWEEP_JSON).exists() and config.tracker.kind == "none"


def _drawing(config: Settings, record: RunRecord) -> AbstractContextManager[object]:
    """Draws the page of a run while it goes on; not of a job, whose sweep has a page."""

    def draw() -> None:
        if not record.is_held:
            write_report(record.path, max_bytes=MOST_PREDICTIONS_BYTES)

    is_job = (record.path.parent / SWEEP_JSON).exists()
    return nullcontext() if config.mode in READING or is_job else closing(LivePage(draw))


@contextmanager
def _reporting(config: Settings, record: RunRecord, terminal: Terminal) -> Iterator[None]:
    """Write the run's page, its summary and the page of all runs after the block, also after an error.

    One that cannot be written fails no run.
    """
    try:
        with _drawing(config, record):
            yield
    finally:
        if was_refused(record.path):
            terminal.note("nothing was done, so the folder of the run is removed")
        elif config.mode not in READING and not record.is_held and not _is_drawn_later(config, record):
            try:
                terminal.path("report", write_report(record.path, max_bytes=MOST_PREDICTIONS_BYTES))
            except Exception as error:
                terminal.note(f"cannot write the report: {type(error).__name__}: {error}")
        if not (record.is_held or was_refused(record.path)):
            summarize(RunFolder(record.path), write=True)
            if problem := refresh_index(record.path):
                terminal.note(problem)
