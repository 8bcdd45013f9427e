"""The settings of training on several devices, in several processes and on several hosts: `distribute`."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from runner.component import Component, Count, PositiveInt
from runner.messages import yaml_text

ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(:[0-9]{1,5})?")
"""A name or an address, and maybe a port."""


TOGETHER = ("run", "fit", "evaluate", "predict")
"""Modes that several processes can do together; one process does the others."""


class Distribute(Component):
    """On which devices one model is trained; `loader.batch_size` is that of all devices together."""

    devices: Literal["all"] | PositiveInt | None = None
    """Devices of this host that share each batch: a number, or all; null: one, without anything to share. Needs
    backend=jax. With several processes, the devices of each."""

    processes: PositiveInt = 1
    """Processes on each host that train one model together, each with devices of its own; they read their own rows of
    each batch, and predict their share of the batches. The modes export, check, bench and pack use one."""

    restarts: Count = 2
    """How often the processes are started again from the newest state after one of them has died."""

    hosts: PositiveInt = Field(default=1, exclude=True)
    """Hosts that train one model together. The same command is started on each of them, in one folder of a shared file
    system. An earlier run gives its hosts to no other: say this key again to resume on several."""

    host: Count | None = Field(default=None, exclude=True)
    """The number of this host, from 0; null: that of the process that srun or mpirun has started."""

    coordinator: str | None = Field(default=None, exclude=True)
    """Where other hosts reach host 0: its name or address; with a port, as in `node0:1234`, if not any may be used."""

    @property
    def world(self) -> int:
        """All processes that train one model together."""
        return self.hosts * self.processes

    def problem(self, backend: str, mode: str) -> str | None:
        """Why these settings cannot work with `backend` in `mode`; None if they can."""
        key, got = self._several() if self.world > 1 else ("devices", self.devices)
        if backend != "jax" and got not in (None, 1):
            return (
                f"distribute.{key} must be {'null' if key == 'devices' else 1} with backend={backend}, got {got}; "
                f"only JAX gives the same numbers on several devices as on one: add backend=jax, or leave "
                f"distribute.{key} out"
            )
        if self.world > 1 and self.devices == "all":
            return (
                "distribute.devices must be a number or null with several processes, of which each has as many "
                f"devices, got all with distribute.{key}={got}; leave one of them out"
            )
        return self._problem_of_hosts() or (None if mode in TOGETHER else self.alone(f"mode={mode}"))

    def _several(self) -> tuple[str, int]:
        """The key that gives several processes, and its value."""
        return ("processes", self.processes) if self.processes > 1 else ("hosts", self.hosts)

    def _problem_of_hosts(self) -> str | None:
        if self.hosts == 1:
            given = {"host": self.host, "coordinator": self.coordinator}
            without_effect = [f"distribute.{key}={value}" for key, value in given.items() if value is not None]
            return (
                f"{' and '.join(without_effect)} must go with distribute.hosts, got one host; add the number of hosts, "
                "as in distribute.hosts=2"
                if without_effect
                else None
            )
        if self.coordinator is None or not ADDRESS.fullmatch(self.coordinator):
            return (
                f"distribute.coordinator must be the name or address of host 0 with distribute.hosts={self.hosts}, got "
                f"{yaml_text(self.coordinator)}; give it as in distribute.coordinator=node0 or node0:1234"
            )
        if self.host is not None and self.host >= self.hosts:
            return (
                f"distribute.host must be from 0 to {self.hosts - 1} with distribute.hosts={self.hosts}, got "
                f"{self.host}; the first host is 0"
            )
        return None

    def alone(self, what: str) -> str | None:
        """Why these settings cannot go with `what`, which is done on one host; None if they can."""
        return None if self.hosts == 1 else f"distribute.hosts must be 1 with {what}, got {self.hosts}; leave it out"

    def unshared(self, loader: str, on_bad: str, *, callbacks: bool) -> str | None:
        """Why several processes cannot do the same steps, each with its rows of a batch; None if they can."""
        if self.world == 1:
            return None
        key, number = self._several()
        why = {
            "loader=custom": loader == "custom" and "whose batches each process would make as a whole",
            "train.callbacks": callbacks and "which could stop one process, or have only one of them compute",
            "data.on_bad=skip": on_bad == "skip" and "as the processes would have batches of different sizes",
        }
        got = next((f"{what}, {reason}" for what, reason in why.items() if reason), None)
        substitute = "set data.on_bad=substitute" if got and "on_bad" in got else "leave one of them out"
        return got and (
            f"distribute.{key} must be 1 with {got}, got {number}; {substitute}, or give distribute.devices=all in "
            f"place of {key}"
        )
