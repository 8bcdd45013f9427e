"""A run that several processes do together, started by this one, which only watches them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from runner.distribute.group import World, supervise
from runner.distribute.hosts import HostGroup, MemberHost, OtherHosts
from runner.distribute.launch import host_number
from runner.distribute.rank_files import RANKS
from runner.distribute.settings import TOGETHER
from runner.errors import ConfigurationError, DataError, RunnerError, Terminated, VerifyError
from runner.exit import INTERRUPTED
from runner.records.folder import CHECKPOINTS, outputs
from runner.records.record import RUN_JSON, RunRecord
from runner.records.run_folder import RunFolder
from runner.records.state import newest_step
from runner.reports.index_page import refresh_index
from runner.reports.page import MOST_PREDICTIONS_BYTES, write_report
from runner.settings import TRAINING, Settings


@dataclass(frozen=True)
class Origin:
    """Where a run comes from: the command line, its overrides, and the user's own configuration files."""

    argv: Sequence[str] = ()
    overrides: Sequence[str] = ()
    foreign_files: tuple[Path, ...] = ()


def is_together(config: Settings) -> bool:
    """Whether several processes do the run."""
    return config.distribute.world > 1 and config.mode in TOGETHER


def joins(config: Settings) -> bool:
    """Whether this is another host than host 0, which makes the run folder."""
    return is_together(config) and _number(config) > 0


def join(config: Settings) -> tuple[int, Path]:
    """Do the part of this host in a run that host 0 leads; the exit code of the run, and its folder."""
    with MemberHost(_host_group(config)) as member:
        folder = member.join()
        return member.follow(folder), folder


def run_together(config: Settings, folder: Path, origin: Origin) -> int:
    """Start the ranks of a run, and watch them; the exit code. Their messages are in the terminal.

    After the death of one, the group resumes the run; a run that does not train has nothing to resume. A run that is
    refused, or stopped before its first step, leaves the folder as it was.
    """
    before = LogsBefore.of(folder)
    try:
        code = _supervised(config, folder, origin)
    except BaseException:
        before.put_back()
        raise
    if code not in (0, 1):  # where a rank was killed, its log may say why
        before.put_back()
    _draw_unclosed(folder)
    return code


def _draw_unclosed(folder: Path) -> None:
    """Draw the page of a run that rank 0 could not end itself; one that cannot be drawn fails no run."""
    if RunFolder(folder).status == "failed" and not RunFolder(folder).document["finished"]:
        with suppress(Exception):
            write_report(folder, max_bytes=MOST_PREDICTIONS_BYTES)
            refresh_index(folder)


def _supervised(config: Settings, folder: Path, origin: Origin) -> int:
    keys, order_of = config.distribute, _orders(config, folder, origin)
    restarts = keys.restarts if config.mode in TRAINING else None
    if keys.hosts == 1:
        return supervise(World(keys.processes, keys.world), restarts, order_of, folder)
    with OtherHosts(_host_group(config), folder) as others:
        others.gather()
        code = supervise(World(keys.processes, keys.world, others), restarts, order_of, folder)
        others.leave(code)
        return code


def _number(config: Settings) -> int:
    return host_number(config.distribute.hosts, config.distribute.host)


def _host_group(config: Settings) -> HostGroup:
    keys = config.distribute
    hosts = (str(keys.coordinator), _number(config), keys.hosts, keys.processes)
    return HostGroup(*hosts, config.document(), outputs(config.output_dir))


def _orders(config: Settings, folder: Path, origin: Origin) -> Callable[[int], bytes]:
    """The run for the ranks of each attempt, as JSON."""
    document = config.document()
    keys = config.distribute  # of which the document leaves out some
    hosts = {"hosts": keys.hosts, "host": 0, "coordinator": keys.coordinator} if keys.hosts > 1 else {}
    settings = {**document, "distribute": {**document["distribute"], **hosts}}
    settings["resume_takeover"] = config.resume_takeover
    where = {"folder": str(folder), "foreign_files": [str(file) for file in origin.foreign_files]}
    order = {**where, "argv": [*origin.argv], "overrides": [*origin.overrides]}

    def order_of(attempt: int) -> bytes:
        again = {"resume": str(folder), "rerun": None} if attempt and (folder / RUN_JSON).exists() else {}
        step = newest_step(folder / CHECKPOINTS)
        return json.dumps({**order, "step": step, "settings": {**settings, **again}}).encode()

    return order_of


@dataclass(frozen=True)
class LogsBefore:
    """The logs of ranks in the folder of a run, as they were before the run: their sizes; and its record."""

    folder: Path
    record: bytes | None
    sizes: Mapping[Path, int]

    @classmethod
    def of(cls, folder: Path) -> LogsBefore:
        """Those that are there now."""
        sizes = {file: file.stat().st_size for file in (folder / RANKS).glob("*") if file.is_file()}
        return cls(folder, _record(folder), sizes)

    def put_back(self) -> None:
        """Remove what was added, unless the record of the run has changed: then the run has begun."""
        if _record(self.folder) != self.record:
            return
        logs = self.folder / RANKS
        for file in logs.glob("*"):
            if file not in self.sizes:
                file.unlink() if file.is_file() else shutil.rmtree(file)
        for file, size in self.sizes.items():
            file.touch()
            os.truncate(file, size)
        for empty in (logs, self.folder):
            with suppress(OSError):
                empty.rmdir()


def _record(folder: Path) -> bytes | None:
    file = folder / RUN_JSON
    return file.read_bytes() if file.exists() else None


def recorded_together(config: Settings, folder: Path, origin: Origin) -> RunRecord:
    """As `run_together`, from Python: returns the closed record, or raises the error that ended the run."""
    if code := run_together(config, folder, origin):
        _raise(code, folder)
    return RunRecord.closed(folder)


def recorded_by_host_0(config: Settings) -> RunRecord:
    """As `join`, from Python: returns the closed record, or raises the error that ended the run."""
    code, folder = join(config)
    if code:
        _raise(code, folder)
    return RunRecord.closed(folder)


def _raise(code: int, folder: Path) -> NoReturn:
    if code in (INTERRUPTED, Terminated.exit_code):
        raise KeyboardInterrupt if code == INTERRUPTED else Terminated
    kinds = {kind.exit_code: kind for kind in (ConfigurationError, DataError, VerifyError)}
    error = RunRecord.closed(folder).document["error"] if (folder / RUN_JSON).exists() else None
    text = error["message"] if error else f"the processes of {folder} ended with exit code {code}; see their messages"
    raise kinds.get(code, RunnerError)(text)
