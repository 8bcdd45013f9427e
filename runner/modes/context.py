"""What all modes with a model begin with: their data opened, their framework started, their loaders at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from runner.data.dataset import Dataset
from runner.loaders.cache import cache_section
from runner.loaders.loader import Loader
from runner.loaders.settings import LoaderSettings
from runner.modes.pipeline import open_loader, open_notes
from runner.modes.summary import bad_lines, cache_lines
from runner.modes.terminal import Terminal
from runner.modes.tracking import Tracking
from runner.records.record import RunRecord
from runner.settings import Settings
from runner.training.backend import start_backend


@dataclass(frozen=True)
class OpenRun:
    """A run whose record is open: what was asked for, where it is written, and who is told."""

    config: Settings
    record: RunRecord
    terminal: Terminal
    tracking: Tracking


@contextmanager
def data_stage(run: OpenRun) -> Iterator[None]:
    """Around the opening of the data; then the backend starts.

    It starts before where an object of the user's own makes the batches: what that draws follows from the seed.
    """
    ready_made = run.config.loader.kind == "custom"
    if ready_made:
        _start_backend(run)
    with run.record.stage("data"):
        yield
    if not ready_made:
        _start_backend(run)


@contextmanager
def open_loaders(
    run: OpenRun, settings: LoaderSettings, dataset: Dataset, splits: Sequence[str], *, training: bool
) -> Iterator[Mapping[str, Loader]]:
    """The loaders of `splits`, closed after the block; what they noted is recorded, and bad samples are told."""
    notes = open_notes(run.config, dataset, run.record.path, run.terminal.note)
    with ExitStack() as closing:
        closing.callback(lambda: run.record.update(data=notes.section()))
        loaders: dict[str, Loader] = {}
        for split in splits:
            trains = training and split == "train"
            loader = open_loader(run.config, settings, dataset, split, training=trains, notes=notes)
            loaders[split] = closing.enter_context(loader)
        cache = cache_section(loaders.values())
        run.terminal.account(cache_lines(cache))
        run.record.update(data={"cache": cache})
        yield loaders
    run.terminal.account(bad_lines(run.config, dataset, notes.bad.counts()))


def _start_backend(run: OpenRun) -> None:
    config = run.config
    with run.record.stage("import"), run.terminal.waiting(f"starting {config.backend}"):
        start_backend(config.backend, seed=config.seed, deterministic=config.deterministic)
