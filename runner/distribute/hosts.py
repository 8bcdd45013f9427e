"""The hosts of a group: host 0 leads them, the others start and end their ranks with it. All share a file system.

Each host says what it does in a `HostFile` in `hosts` of `output_dir`, in the folder of the group's coordinator. Host 0
takes another host as a member once that one has read its file, so files that killed processes have left count for
nothing.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runner.distribute.group import WATCH_SECONDS, NoOthers, RankGroup, free_port
from runner.distribute.host_file import HostFile, OtherHost, Status
from runner.distribute.rank_files import RANKS
from runner.errors import ConfigurationError, RunnerError
from runner.exit import INTERRUPTED, error_text, noting_signals
from runner.messages import first_few
from runner.records.diff import changed_keys
from runner.records.files import to_json
from runner.records.folder import OUTPUTS

JOIN_SECONDS = 300.0
"""How long hosts wait for each other before the run; JAX waits as long for processes."""

PATIENCE_SECONDS = 2.0
"""How long to wait before saying so."""

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class HostGroup:
    """One of `num_hosts` hosts that train together, with `local` ranks on each; `config` must be the same on all.

    `root` is the folder of runs, which all hosts share.
    """

    coordinator: str
    number: int
    num_hosts: int
    local: int
    config: Mapping[str, Any]
    root: Path = OUTPUTS

    @property
    def folder(self) -> Path:
        """The folder of the files of the hosts."""
        return self.root / "hosts" / re.sub(r"[^\w.-]", "_", self.coordinator)

    @property
    def numbers(self) -> range:
        """The ranks of this host."""
        return range(self.number * self.local, (self.number + 1) * self.local)

    @property
    def shared(self) -> dict[str, Any]:
        """What must be the same on all hosts."""
        same = {**self.config, "distribute": {**self.config["distribute"], "hosts": self.num_hosts}}
        return dict(json.loads(to_json(same)))

    def wait(self, missing: Callable[[], Sequence[int]]) -> None:
        """Wait until no host is `missing`. Raises `RunnerError` if that takes too long."""
        begun, has_said = time.monotonic(), False
        while numbers := missing():
            waited = time.monotonic() - begun
            hosts = (
                f"host {first_few(numbers)} of the group {self.coordinator}: the same command must be started on each "
                "host, with its number as distribute.host, in one folder of a shared file system"
            )
            if waited > JOIN_SECONDS:
                raise RunnerError(f"waited {JOIN_SECONDS:.0f} seconds for {hosts}")
            if waited > PATIENCE_SECONDS and not has_said:
                sys.stderr.write(f"waiting for {hosts}\n")
                has_said = True
            time.sleep(WATCH_SECONDS)


class OtherHosts(NoOthers):
    """The other hosts, as host 0 leads them; use it in a `with` block, whose error they get, too."""

    delay_seconds = 1.5

    def __init__(self, group: HostGroup, folder: Path) -> None:
        self._group = group
        leading: Status = {
            "members": {},
            "folder": str(folder),
            "attempt": 0,
            "running": False,
            "said": [],
            "code": None,
        }
        self._own = HostFile(group.folder, 0, leading)
        self._others = [OtherHost(group.folder, number) for number in range(1, group.num_hosts)]

    def gather(self) -> None:
        """Wait until all are there. Raises `ConfigurationError` if one was started with another configuration."""
        self._group.wait(lambda: [other.number for other in self._others if not self._has_joined(other)])

    def _has_joined(self, other: OtherHost) -> bool:
        status = other.look()
        if status.get("leader") != self._own.id:
            return False
        members = self._own.status["members"]
        if members.get(str(other.number)) != status["id"]:
            self._own.write(members={**members, str(other.number): status["id"]})
        if changed := [key for key, _ in changed_keys(self._group.shared, status["shared"])]:
            raise ConfigurationError(
                f"the configuration must be the same on all hosts, but host {other.number} ({other.name}) has another "
                f"{first_few(changed)} than host 0; start the same command on each host"
            )
        return True

    def address(self) -> str:
        """Where rank 0 listens: at the coordinator, on a free port if it names none."""
        name, _, port = self._group.coordinator.rpartition(":")
        return self._group.coordinator if name and port.isdecimal() else f"{self._group.coordinator}:{free_port()}"

    def begin(self, address: str, order: bytes) -> None:
        """Have the others start their ranks."""
        attempt = self._own.status["attempt"] + 1
        self._own.write(attempt=attempt, address=address, order=order.decode(), running=True)

    def ended(self) -> Mapping[int, int]:
        """The exit codes of ranks of other hosts that have ended. Raises `RunnerError` if a host is lost."""
        codes = [status["ended"] for status in self._statuses() if status["attempt"] == self._own.status["attempt"]]
        return {int(rank): code for ended in codes for rank, code in ended.items()}

    def signals(self) -> Sequence[Sequence[int]]:
        """The signals that each of the others has got."""
        return [status["signals"] for status in self._statuses()]

    def end(self) -> None:
        """Have the others end their ranks, and wait for that."""
        self._own.write(running=False)
        while any(status["closed"] < self._own.status["attempt"] for status in self._statuses()):
            time.sleep(WATCH_SECONDS)

    def say(self, text: str) -> None:
        """Have the others write a message to their terminals."""
        self._own.write(said=[*self._own.status["said"], text])

    def leave(self, code: int) -> None:
        """Have the others end with this exit code."""
        self._own.write(code=code, running=False)
        for other in self._others:
            while str(other.number) in self._own.status["members"] and not other.has_left and not other.is_lost:
                other.look()
                time.sleep(WATCH_SECONDS)

    def _statuses(self) -> list[dict[str, Any]]:
        for other in self._others:
            other.look()
            other.refuse_lost()
        return [other.status for other in self._others]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._own:
            if error is not None:
                self.say(error_text(error))
                default = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
                self.leave(getattr(error, "exit_code", default))


class MemberHost:
    """A host other than 0; use it in a `with` block. It starts its ranks, and ends them, when host 0 says so."""

    def __init__(self, group: HostGroup) -> None:
        self._group = group
        doing: Status = {"attempt": 0, "ended": {}, "closed": 0, "signals": []}
        self._own = HostFile(group.folder, group.number, {"leader": None, "shared": group.shared, **doing})
        self._leader = OtherHost(group.folder, 0)

    def join(self) -> Path:
        """Wait until host 0 has taken this host as a member; the folder of the run."""
        self._group.wait(lambda: [] if self._is_member() else [0])
        return Path(self._leader.status["folder"])

    def _is_member(self) -> bool:
        status = self._leader.look()
        if status.get("id") != self._own.status["leader"]:
            self._own.write(leader=status.get("id"))
        return bool(status.get("members", NOTHING).get(str(self._group.number)) == self._own.id)

    def follow(self, folder: Path) -> int:
        """Start and end ranks with host 0 until the run has ended; its exit code.

        Raises `RunnerError` if host 0 is lost.
        """
        group, said, signals = None, 0, list[int]()
        with noting_signals(lambda numbers: signals.append(numbers[-1])):
            try:
                while True:
                    status = self._leader.look()
                    self._leader.refuse_lost()
                    for text in status["said"][said:]:
                        sys.stderr.write(f"{text}\n")
                    said = len(status["said"])
                    group = self._kept(group, status, folder)
                    if status["code"] is not None:
                        return int(status["code"])
                    self._report(group, signals)
                    time.sleep(WATCH_SECONDS)
            finally:
                if group is not None:
                    group.close()

    def _report(self, group: RankGroup | None, signals: Sequence[int]) -> None:
        """Report ranks that have ended, and signals."""
        now: dict[str, Any] = {"signals": [*signals]}
        if group is not None:
            now["ended"] = {str(rank): code for rank, code in group.ended().items()}
        if any(self._own.status[name] != value for name, value in now.items()):
            self._own.write(**now)

    def _kept(self, group: RankGroup | None, status: Mapping[str, Any], folder: Path) -> RankGroup | None:
        """The ranks that this host has now: of an attempt that host 0 has begun, and not ended."""
        attempt = self._own.status["attempt"]
        if group is not None and (not status["running"] or status["attempt"] != attempt):
            group.close()
            self._own.write(closed=attempt)
            return None
        if group is None and status["running"] and status["attempt"] > attempt:
            (folder / RANKS).mkdir(parents=True, exist_ok=True)
            self._own.write(attempt=status["attempt"], ended={})
            return RankGroup(self._group.numbers, status["address"], status["order"].encode(), folder)
        return group

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._own.__exit__(kind, error, trace)
