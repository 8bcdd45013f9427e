"""What a scheduler runs on the host it has chosen: the process of one job, attended to until it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.sweeps.channel import Channel
from runner.sweeps.process import Attempt, JobProcess, Outcome
from runner.sweeps.sweep_plan import read_sweep

CHANNEL_SECONDS = 0.2


@dataclass(frozen=True)
class Order:
    """All that another host is told of a job; `owner`: the process that runs the sweep, as sweep.json has it."""

    sweep: Path
    attempt: Attempt
    owner: Mapping[str, Any] | None
    working_directory: Path
    timeout_seconds: float | None
    command: tuple[str, ...]


def attend(order: Order) -> None:
    """Do the job in a fresh process of this host, from where the sweep was started; say in its channel how it ended.

    Nothing is done for a sweep that has ended, or that another process has taken over, while the job was queued.
    """
    os.chdir(order.working_directory)
    plan, number = read_sweep(order.sweep), order.attempt.number
    channel = Channel(plan.folder, number)
    if plan.process != order.owner or channel.asked("end") or channel.outcome is not None:
        return
    channel.begin()
    job = JobProcess(plan, order.attempt, timeout_seconds=order.timeout_seconds, command=order.command)
    try:
        channel.end(_outcome(job, channel))
    except BaseException:  # the scheduler wants its place back: submitit and Ray raise here, each in its own way
        job.ask_to_end()
        channel.end(_outcome(job, channel))
        raise
    finally:
        job.close()


def _outcome(job: JobProcess, channel: Channel) -> Outcome:
    while (outcome := job.poll()) is None:
        if channel.asked("kill"):
            job.kill()
        elif channel.asked("prune"):
            job.ask_to_end("pruned")
        elif channel.asked("end"):
            job.ask_to_end()
        time.sleep(CHANNEL_SECONDS)
    return outcome
