"""Launchers that start one command as several processes, such as torchrun: refused, as each would train apart."""

from __future__ import annotations

import os
from collections.abc import Mapping

from runner.errors import ConfigurationError

LAUNCHERS: Mapping[str, tuple[str, str]] = {
    "torchrun": ("TORCHELASTIC_RUN_ID", "WORLD_SIZE"),
    "mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
}
"""A variable that the launcher sets in each process, and the one with their number. SLURM_NTASKS is no sign of several:
a batch script with `#SBATCH --ntasks=4` has it as well, and starts one command."""


def refuse_apart(backend: str = "", environment: Mapping[str, str] = os.environ, *, hosts: int = 1) -> None:
    """Raise `ConfigurationError` if this process is one of several that would each train a model of its own.

    A launcher may start one process on each of `hosts`. With `backend=torch` that is any process with WORLD_SIZE above
    1: Keras does not connect them.
    """
    for launcher, (mark, number) in LAUNCHERS.items():
        if mark in environment and _count(environment, number) not in (1, hosts):
            raise ConfigurationError(_apart(f"{launcher} with {number}={environment[number]}", "without it"))
    if backend == "torch" and _count(environment, "WORLD_SIZE") > 1:
        what = f"WORLD_SIZE={environment['WORLD_SIZE']} with backend=torch"
        raise ConfigurationError(_apart(what, "with WORLD_SIZE unset"))


def host_number(hosts: int, host: int | None, environment: Mapping[str, str] = os.environ) -> int:
    """The number of this host of several: the one given, or that of the process that `srun` or `mpirun` has started.

    Raises `ConfigurationError` if there is neither.
    """
    if host is not None or hosts == 1:
        return host or 0
    for mark, number in LAUNCHERS.values():
        if _count(environment, number) == hosts and environment.get(mark, "").isdecimal():
            return int(environment[mark])
    raise ConfigurationError(
        f"distribute.host must be the number of this host, from 0 to {hosts - 1}, got null; give each host its own, or "
        "start one process on each host with srun or mpirun"
    )


def _count(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    return int(value) if value.isdecimal() else 1


def _apart(got: str, mend: str) -> str:
    return (
        f"a run must be started as one process, got {got}: each process would train a model of its own; "
        f"start it {mend}, and give backend=jax distribute.devices=all to train on several devices, or "
        "distribute.hosts with one process on each host"
    )
