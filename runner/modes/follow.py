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
        exchange = Exchange(rank, led)
        watchdog = Watchdog(config.loader.timeout_seconds, partial(end_process, config, record, terminal, exchange))
        with closing(watchdog), watchdog.watching():
            context = RunContext(config, record, terminal, Tracking(config, terminal), exchange)
            if config.from_run is None:
                train_model(context, resumed)
                gather_ranks(context)
            else:
                use_model(context, runs_to_use(config.from_run))
        record.close("completed")


NOTE_SECONDS = 0.4
"""How long the log of a rank may take to say why it ended; then the parent ends all."""

LOST = ("gloo", "nccl", "coordination service", "connection reset", "connection closed", "socket closed", "heartbeat")
"""What JAX says where another process is missing, in small letters."""

OF_JAX = "JaxRuntimeError"
"""The class of all errors of JAX's computations, by name: this module is imported without JAX."""


@contextmanager
def naming_lost_rank(rank: Rank, folder: Path) -> Iterator[None]:
    """Raise the error of another rank in place of that of a collective in which it is missing."""
    try:
        yield
    except RunnerError:
        raise
    except Terminated as error:  # the parent ends all, as one of them has ended before training
        if rank.leads and (lost := _lost(rank, folder)) is not None:
            raise lost from error
        raise
    except Exception as error:
        names_loss = any(word in str(error).lower() for word in LOST)
        if rank.world == 1 or not (names_loss or type(error).__name__ == OF_JAX):
            raise
        limit = time.monotonic() + NOTE_SECONDS
        while (lost := _lost(rank, folder)) is None and time.monotonic() < limit:
            time.sleep(NOTE_SECONDS / 20)
        if lost is None and not names_loss:
            raise
        raise (lost or LostRankError("another rank was lost")) from error


def _lost(rank: Rank, folder: Path) -> LostRankError | None:
    """The errors that have ended other ranks, as one; None if there are none."""
    numbers = [number for number in range(rank.world) if number != rank.number]
    found = {number: error for number in numbers if (error := error_of(folder, number)) is not None}
    message = "; ".join(f"rank {number}: {error}" for number, error in found.items())
    return LostRankError(message, next(iter(found.values())).kind) if found else None


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
