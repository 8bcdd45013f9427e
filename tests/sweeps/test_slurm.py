"""Submitit's way through SLURM's commands, with a queue that is a folder: it starts each job at once, or never."""

import json
import stat
from importlib.util import find_spec

import pytest

from runner.errors import RunnerError
from runner.sweeps import cluster, submitit_jobs

pytestmark = pytest.mark.skipif(find_spec("submitit") is None, reason="without submitit")

SBATCH = """#!/bin/bash
grep -q partition=closed "$1" && { echo "sbatch: error: invalid partition" >&2; exit 1; }
id=$(( $(ls "$QUEUE" | grep -c '[.]sh$') + 1 ))
cp "$1" "$QUEUE/$id.sh"
if grep -q partition=busy "$1" && [ $id -gt 1 ]; then echo PENDING > "$QUEUE/$id.state"
else
  echo RUNNING > "$QUEUE/$id.state"
  export SLURM_JOB_ID=$id SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
  export SLURM_JOB_NODELIST=here
  ( bash "$QUEUE/$id.sh"; [ $? = 137 ] && echo OUT_OF_MEMORY > "$QUEUE/$id.state" ) > /dev/null 2>&1 &
fi
echo "Submitted batch job $id"
"""
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
  case $1 in --output) out=$2; shift;; --error) err=$2; shift;; esac
  shift
done
out=${out//%j/$SLURM_JOB_ID}; out=${out//%t/0}; err=${err//%j/$SLURM_JOB_ID}; err=${err//%t/0}
exec "$@" > "$out" 2> "$err"
"""
SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
for file in "$QUEUE"/*.state; do echo "$(basename "$file" .state)|$(cat "$file")|here"; done
"""
SCANCEL = """#!/bin/bash
echo "CANCELLED by 0" > "$QUEUE/$1.state"
"""


@pytest.fixture
def queue(here, monkeypatch):
    """The folder of a queue, whose commands are found first."""
    commands, folder = here / "bin", here / "queue"
    commands.mkdir()
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scancel": SCANCEL}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    monkeypatch.setenv("QUEUE", str(folder))
    return folder


def statuses(folder):
    return {int(file.parent.name): json.loads(file.read_text())["status"] for file in folder.glob("[0-9]/run.json")}


def test_jobs_are_submitted_with_resources(queue, sweep):
    wanted = "sweep.submitit={timeout_min: 90, slurm_partition: gpu, gpus_per_node: 2, cpus_per_task: 3, mem_gb: 4}"
    code, folder = sweep("sweep.launcher=submitit", wanted, "seed=1,2")
    assert code == 0
    assert statuses(folder) == {0: "completed", 1: "completed"}
    for number in (1, 2):
        script = (queue / f"{number}.sh").read_text()
        lines = {line.removeprefix("#SBATCH --") for line in script.splitlines()}
        assert {"partition=gpu", "time=90", "gpus-per-node=2", "cpus-per-task=3", "mem=4GB"} <= lines


def test_out_of_memory_job_is_reported(queue, here, sweep, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "SETTLE_SECONDS", 0)
    monkeypatch.setattr(submitit_jobs, "QUERY_SECONDS", 0.5)
    text = (here / "job.py").read_text()
    taken = "if seed == 7:\n    os.kill(os.getppid(), 9)\n    sys.exit()\nif 0:"
    (here / "job.py").write_text(text.replace("if seed == 7:", taken))
    code, _ = sweep("sweep.launcher=submitit", "seed=7,1")
    assert code == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "job 0 failed: queue job 1 ended as OUT_OF_MEMORY" in last


def test_waiting_jobs_leave_the_queue(queue, sweep):
    code, folder = sweep(
        "sweep.launcher=submitit", "sweep.submitit.slurm_partition=busy", "sweep.fail_fast=true", "seed=9,1,2"
    )
    assert code == 1
    assert statuses(folder) == {0: "failed"}
    assert [(queue / f"{number}.state").read_text() for number in (2, 3)] == ["CANCELLED by 0\n"] * 2


def test_refusing_queue_ends_the_sweep(queue, sweep):
    with pytest.raises(RunnerError, match=r"(?s)the queue refused job 0; fix sweep\.submitit.*invalid partition"):
        sweep("sweep.launcher=submitit", "sweep.submitit.slurm_partition=closed", "seed=1,2")
