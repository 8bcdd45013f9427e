"""A process that trains together with the one that leads: the same steps, on its own rows, without files of the run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from runner.distribute.exchange import Exchange
from runner.distribute.rank_files import error_of
from runner.distribute.ranks import Rank
from runner.errors import LostRankError, RunnerError, Terminated
from runner.modes.context import RunContext
from runner.modes.debug import debugged
from runner.modes.evaluate import use_model
from runner.modes.fit import train_model
from runner.modes.stop import end_process
from runner.modes.terminal import Terminal
from runner.modes.tracker import Tracking
from runner.records.folder import CHECKPOINTS
from runner.records.record import RunRecord
from runner.records.run_folder import RunFolder
from runner.records.state import newest_step
from runner.settings import Settings
from runner.sweeps.members import runs_to_use
from runner.trackers.base import NoTracker
from runner.watchdog import Watchdog

STATES_SECONDS = 60.0


def await_states(folder: Path, step: int | None) -> None:
    """Wait until the newest state of a run is that of `step`: another host may see a new file after some seconds."""
    limit = time.monotonic() + STATES_SECONDS
    while (seen := newest_step(folder / CHECKPOINTS)) != step:
        if time.monotonic() > limit:
            raise RunnerError(
                f"the newest state in {folder / CHECKPOINTS} is of step {step}, but this host sees that of step "
                f"{seen}; the folder must be on a file system that all hosts share"
            )
        time.sleep(0.1)


def follow(config: Settings, rank: Rank, led: Path, scratch: Path | None = None) -> None:
    """Do what rank 0 does, with other rows of each batch; what a run leaves goes to `scratch` and is removed.

    What this process measured is left for rank 0 in the folder of the run, `led`.
    """
    config = debugged(config).model_copy(update={"tracker": NoTracker()})
    resumed = None if config.resume is None else RunFolder(config.resume)
    terminal = Terminal()
    with TemporaryDirectory(prefix="keras-runner-rank-", dir=scratch) as folder:
        record = RunRecord.open(Path(folder), backend=config.backend)
        watchdog = Watchdog(config.loader.timeout_seconds, partial(end_process, config, record, terminal))
        with closing(watchdog), watchdog.watching():
            context = RunContext(config, record, terminal, Tracking(config, terminal), Exchange(rank, led))
            if config.from_run is None:
                train_model(context, resumed)
                gather_ranks(context)
            else:
                use_model(context, runs_to_use(config.from_run))
        record.close("completed")


NOTE_SECONDS = 0.4
"""How long the log of a rank may take to say why it ended; then the parent ends all."""

LOST = ("Gloo", "NCCL", "coordination service", "Connection reset by peer")
"""What JAX says where another process is missing."""


@contextmanager
def naming_lost_rank(rank: Rank, folder: Path) -> Iterator[None]:
    """Raise the error of another rank in place of that of a collective in which it is missing."""
    try:
        yield
    except RunnerError:
        raise
    except Terminated as error:  # the parent ends all, as one of them has ended before training
        if said := [text for text in _errors(rank, folder) if rank.leads]:
            raise LostRankError("; ".join(said).replace("error: ", "")) from error
        raise
    except Exception as error:
        if rank.world == 1 or not any(word in str(error) for word in LOST):
            raise
        limit = time.monotonic() + NOTE_SECONDS
        while not (said := _errors(rank, folder)) and time.monotonic() < limit:
            time.sleep(NOTE_SECONDS / 20)
        raise LostRankError("; ".join(said).replace("error: ", "") or "another rank was lost") from error


def _errors(rank: Rank, folder: Path) -> list[str]:
    """The errors of the other ranks with a log."""
    found = {number: error_of(folder, number) for number in range(1, rank.world) if number != rank.number}
    return [f"rank {number}: {' '.join(lines)}" for number, lines in found.items() if lines]


def gather_ranks(run: RunContext) -> None:
    """Report and record how long each rank waited for data, once all have trained."""
    gathered = run.exchange.gather([_measured(run.record)])
    ranks = [{"rank": number, **measured} for number, measured in enumerate(gathered) if measured]
    if run.rank.leads and len(ranks) == run.rank.world:
        slowest = max(ranks, key=lambda rank: rank["wait_seconds"])
        shares = ", ".join(f"{rank['wait_share']:.1%}" for rank in ranks)
        run.terminal.summary([("ranks", f"waited {shares} of the time; longest rank {slowest['rank']}")])
        run.record.update(results={"fit": {**run.record.document["results"]["fit"], "ranks": ranks}})


def _measured(record: RunRecord) -> dict[str, float]:
    """The wait of one process, and the mean time of its steps without it; nothing if it did not train."""
    wait = record.document["results"]["fit"].get("wait", {})
    names = {"share": "wait_share", "seconds": "wait_seconds", "step_seconds": "step_seconds"}
    return {name: wait[key] for key, name in names.items()} if names.keys() <= wait.keys() else {}
