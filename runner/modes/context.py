"""Setup shared by modes that need a model: time the opening of the data, start the backend, open the loaders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from runner.data.dataset import Data, Dataset
from runner.distribute.exchange import WITHOUT_OTHERS, Exchange, rank_folders
from runner.distribute.ranks import Rank, Share
from runner.exit import interruptible
from runner.loaders.blocks import gap_note
from runner.loaders.cache import cache_section
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.messages import first_few
from runner.modes.pipeline import open_loader, plan_loading
from runner.modes.summary import bad_lines, cache_lines, data_lines, loader_lines
from runner.modes.terminal import Terminal
from runner.modes.tracker import Tracking
from runner.records.bad_samples import BadSamples, Notes
from runner.records.contents import Contents
from runner.records.files import flush_file
from runner.records.folder import point_latest
from runner.records.record import RunRecord
from runner.settings import Settings
from runner.training.backend import start_backend


@dataclass(frozen=True)
class RunContext:
    """A run's configuration, its open record, and the terminal and tracker that report it."""

    config: Settings
    record: RunRecord
    terminal: Terminal
    tracking: Tracking
    exchange: Exchange = WITHOUT_OTHERS
    """With the other processes, if several do the run together."""
    callbacks: Sequence[Any] = ()
    """Callbacks that a Python program has given."""

    @property
    def rank(self) -> Rank:
        """Which of the processes that do the run together this one is."""
        return self.exchange.rank

    def begin(self) -> None:
        """Write the record, if it is held; point `latest` to the run, and begin it on the tracker."""
        self.record.begin()
        folder = self.record.path
        if folder.parent.name == "runs":
            point_latest(folder.parent.parent, folder)
        self.tracking.begin(self.record)


@contextmanager
def data_stage(run: RunContext) -> Iterator[None]:
    """Record the block as the stage `data`, then start the backend.

    With `loader=custom` the backend starts before the block: the seed decides what the user's object draws.
    """
    starts_first = run.config.loader.kind == "custom"
    if starts_first:
        _start_backend(run)
    with run.record.stage("data"):
        yield
    if not starts_first:
        _start_backend(run)


def _start_backend(run: RunContext) -> None:
    config = run.config
    with (
        run.record.stage("import"),
        run.terminal.waiting(f"starting {config.backend}"),
        interruptible(f"once {config.backend} has started") as interruption,  # imports lose what is raised, or crash
    ):
        own = bool(config.extensions)
        start_backend(config.backend, seed=config.seed, deterministic=config.deterministic, user_code=own)
    interruption.raise_if_requested()
    if config.distribute.devices is not None or run.rank.world > 1 or run.record.document["distribute"]:
        _note_devices(run)


def _note_devices(run: RunContext) -> None:
    """Report the devices, and record them for this attempt of the run."""
    from runner.distribute.devices import chosen_devices

    devices = chosen_devices(run.config.distribute)
    if devices:
        run.terminal.summary([("devices", f"{len(devices)}, which share each batch: {first_few(devices)}")])
    attempts = run.record.document["distribute"].get("attempts", [])
    hosts = run.config.distribute.hosts
    attempt = {"processes": run.rank.world, **({"hosts": hosts} if hosts > 1 else {}), "devices": devices}
    run.record.update(distribute={"attempts": [*attempts, attempt]})


def share_of(run: RunContext) -> Share | None:
    """What this process reads of each batch that all compute together; None for all of it."""
    if run.rank.world == 1:
        return None
    from runner.distribute.devices import chosen_devices

    return run.rank.share(len(chosen_devices(run.config.distribute)))


def prepare_loading(
    run: RunContext, dataset: Dataset, splits: Sequence[str], data: Mapping[str, Any]
) -> LoaderSettings:
    """Choose how to read `splits`; report and record the choice, and `data`, the section of run.json.

    Raises `DataError` where memory cannot hold what the loaders need.
    """
    processes = run.config.distribute.processes if run.rank.world > 1 else 1
    plan = plan_loading(run.config, dataset, splits, processes)
    run.terminal.summary(data_lines(run.config, dataset, plan.available_bytes, processes))
    run.terminal.summary(loader_lines(plan.choice, plan.needed_bytes))
    run.record.update(loader=plan.choice.document(), data=data)
    if run.rank.number % processes == 0:  # the first one of this host: others may see what it has taken
        plan.refuse_too_large()
    return plan.settings


def open_notes(run: RunContext, dataset: Dataset, *, forgets: bool = False) -> Notes:
    """The notes of a run on what it reads, held as long as its record is; bad samples are reported.

    With `forgets`, digests of files that an earlier part of the run has noted are dropped. A process that does not lead
    notes in a folder of its own.
    """
    held, exchange = run.record.is_held, run.exchange
    folder = run.record.path if run.rank.leads else exchange.own_folder
    if forgets:
        for old in rank_folders(folder) if run.rank.leads else [folder]:
            if not run.rank.leads or int(old.name) >= run.rank.world:
                shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    most = run.config.data.max_bad if isinstance(run.config.data, Data) else None
    contents = Contents(folder, dataset.files, held=held, forgets=forgets)
    return Notes(contents, BadSamples(folder, most, run.terminal.note, held=held, others=exchange.other_folders))


def _end_notes(run: RunContext, notes: Notes, *, completed: bool) -> None:
    """Record what was read. The process that leads takes the notes of all others; once all is read, it removes theirs.

    What others have noted before an error stays there, too: a resume continues it.
    """
    if not run.rank.leads:
        for file in run.exchange.own_folder.rglob("*.*"):
            flush_file(file)  # for rank 0, which may be on another host
    if completed:
        for _ in run.exchange.gather([None]):  # each has closed its loaders
            continue
    for folder in () if run.record.is_held or not run.rank.leads else rank_folders(run.record.path):
        notes.take(folder)
        if completed:
            shutil.rmtree(folder, ignore_errors=True)
    run.record.update(data=notes.section())


@contextmanager
def open_loaders(
    run: RunContext,
    settings: LoaderSettings,
    dataset: Dataset,
    splits: Sequence[str],
    *,
    training: bool,
    notes: Notes | None = None,
) -> Iterator[Mapping[str, Loader]]:
    """The loaders of `splits`, by split. After the block they are closed, and bad samples are reported and recorded.

    `notes` are taken of what they read, new ones by default.
    """
    notes, share = notes or open_notes(run, dataset), share_of(run)
    with ExitStack() as closing:
        closing.callback(notes.contents.close)
        closing.push(lambda kind, error, trace: _end_notes(run, notes, completed=kind is None))
        loaders: dict[str, Loader] = {}
        for split in splits:
            trains = training and split == "train"
            loader = open_loader(run.config, settings, dataset, split, training=trains, notes=notes)
            loader.share = share
            loaders[split] = closing.enter_context(loader)
        for split, loader in loaders.items():
            if (note := gap_note(split, loader.source, loader.plan.blocks)) is not None:
                run.terminal.note(note)
        cache = cache_section(loaders.values())
        run.terminal.summary(cache_lines(cache))
        run.record.update(data={"cache": cache})
        yield loaders
    run.terminal.summary(bad_lines(run.config, dataset, notes.bad.counts()))
