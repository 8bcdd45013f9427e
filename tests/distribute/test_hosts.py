"""Hosts of a group find each other by files, and start and end their ranks together; here all are threads."""

import json
import sys
import threading
import time
from pathlib import Path

import pytest

from runner import compose
from runner.commands.prepare_sweep import prepare_sweep
from runner.distribute import group, host_file, hosts
from runner.distribute.host_file import HostFile, OtherHost
from runner.distribute.hosts import HostGroup, MemberHost, OtherHosts
from runner.distribute.launch import host_number, refuse_apart
from runner.errors import ConfigurationError, RunnerError
from tests.distribute.test_group import RANK, WAIT

CONFIG = {"train": {"epochs": 3}, "distribute": {"processes": 1}}


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A shared folder, in which ranks do these lines; what a second host takes is a hundredth of one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(group, "COMMAND", (sys.executable, "-c", RANK))
    monkeypatch.setattr(group, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(OtherHosts, "delay_seconds", 0.3)
    for name, seconds in {"BEAT_SECONDS": 0.05, "ENDED_SECONDS": 0.3, "LOOK_SECONDS": 0.0}.items():
        monkeypatch.setattr(host_file, name, seconds)
    return tmp_path


def host(number, config=CONFIG):
    return HostGroup("node0:1234", number, 2, 1, config)


class Member(threading.Thread):
    """Host 1: its exit code, or the error that it ends with."""

    def __init__(self, config=CONFIG):
        super().__init__()
        self.config, self.end = config, None
        self.start()

    def run(self):
        try:
            with MemberHost(host(1, self.config)) as member:
                self.end = member.follow(member.join())
        except RunnerError as error:
            self.end = error


def lead(*attempts, restarts=2):
    """The exit code of host 0, whose group does these lines in each attempt."""
    made = []

    def order_of(attempt):
        made.append(attempt)
        return json.dumps({"do": attempts[attempt]}).encode()

    with OtherHosts(host(0), Path("run")) as others:
        others.gather()
        code = group.supervise(group.World(1, 2, others), restarts, order_of, Path("run"))
        others.leave(code)
    return code


def test_hosts_end_together(place):
    member = Member()
    assert lead(["pass", "pass"]) == 0
    member.join()
    assert member.end == 0 and not (place / "outputs" / "hosts").exists()


def test_death_starts_ranks_of_all_hosts_again(place, capsys):
    member = Member()
    assert lead([WAIT, "os.kill(os.getpid(), 9)"], ["pass", "pass"]) == 0
    member.join()
    said = "rank 1 was killed by SIGKILL: all ranks start again from the newest state\n"
    assert member.end == 0 and capsys.readouterr().err == 2 * said


def test_error_of_any_host_ends_all_with_it(place, capsys):
    member = Member()
    assert lead([WAIT, 'print("error: cat.jpg is torn", file=sys.stderr); sys.exit(4)']) == 4
    member.join()
    assert member.end == 4 and capsys.readouterr().err == 2 * "rank 1:\nerror: cat.jpg is torn\n"


def test_error_of_rank_0_reaches_other_hosts(place, capsys):
    member = Member()
    note = "Path('run/ranks/0-error.handed-in').write_text('BadSampleError\\nerror: dog.jpg is torn\\n')"
    assert lead([f"{note}; sys.exit(4)", WAIT]) == 4
    member.join()
    assert member.end == 4 and capsys.readouterr().err == "rank 0:\nerror: dog.jpg is torn\n"


def test_other_configuration_is_refused_by_name(place, capsys):
    member = Member({**CONFIG, "train": {"epochs": 4}})
    with pytest.raises(ConfigurationError, match=r"host 1 \(process \d+ on .*\) has another train.epochs than host 0"):
        lead(["pass", "pass"])
    member.join()
    assert member.end == 2 and "another train.epochs than host 0" in capsys.readouterr().err


def test_files_of_killed_hosts_count_for_nothing(place):
    folder = host(0).folder
    folder.mkdir(parents=True)
    (folder / "0.json").write_text(json.dumps({"id": "old", "members": {"1": "old"}, "code": 1, "folder": "run"}))
    (folder / "1.json").write_text(json.dumps({"id": "old", "leader": "old"}))
    member = Member()
    assert lead(["pass", "pass"]) == 0
    member.join()
    assert member.end == 0


def test_number_of_another_host_is_refused(place):
    folder = host(0).folder
    with HostFile(folder, 0, {}), pytest.raises(ConfigurationError, match="must be another number on each host, got 0"):
        HostFile(folder, 0, {})


def test_lost_host_ends_the_group(place, monkeypatch, capsys):
    monkeypatch.setattr(host_file, "LOST_SECONDS", 1.0)
    member = MemberHost(host(1))

    def vanish():
        member.join()
        member._own._heartbeat.close()

    thread = threading.Thread(target=vanish)
    thread.start()
    with pytest.raises(RunnerError, match=r"host 1 \(process .*\) has given no sign of life for 1 seconds"):
        lead([WAIT, "pass"])
    thread.join()


def test_silent_host_is_lost(place, monkeypatch):
    monkeypatch.setattr(host_file, "LOST_SECONDS", 0.3)
    with HostFile(place / "hosts", 1, {}) as file:
        other = OtherHost(place / "hosts", 1)
        for _ in range(8):
            time.sleep(0.05)
            other.look()
        assert not other.is_lost and other.status == file.status
    time.sleep(0.4)
    other.look()
    assert other.is_lost and other.has_left


def test_hosts_wait_for_each_other_for_a_time(place, monkeypatch):
    monkeypatch.setattr(hosts, "JOIN_SECONDS", 0.1)
    with pytest.raises(RunnerError, match="waited 0 seconds for host 1 of the group node0:1234: the same command must"):
        lead(["pass", "pass"])


def test_signals_of_all_hosts_count_once(place):
    held = group.RankGroup(range(1), "", json.dumps({"do": ["time.sleep(9)"]}).encode(), place)
    sent = []
    group.os.kill, kill = lambda pid, number: sent.append(number), group.os.kill
    try:
        for numbers in ([15], [15], [15, 2]):
            held.signal(numbers)
    finally:
        group.os.kill = kill
        held.close()
    assert sent == [15, 2]


SEVERAL = ["backend=jax", "distribute.hosts=2"]
OF_GROUP = [*SEVERAL, "distribute.coordinator=node0"]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (SEVERAL, "distribute.coordinator must be the name or address of host 0 with distribute.hosts=2, got null"),
        ([*SEVERAL, "distribute.coordinator=a:b"], "got a:b; give it as in"),
        ([*OF_GROUP, "distribute.host=2"], "distribute.host must be from 0 to 1 with distribute.hosts=2, got 2"),
        (["backend=jax", "distribute.host=1"], "distribute.host=1 must go with distribute.hosts, got one host"),
        ([*OF_GROUP, "backend=tensorflow"], "distribute.hosts must be 1 with backend=tensorflow, got 2"),
        ([*OF_GROUP, "mode=check"], "distribute.hosts must be 1 with mode=check, got 2"),
        ([*OF_GROUP, "data.on_bad=skip"], "distribute.hosts must be 1 with data.on_bad=skip"),
    ],
)
def test_hosts_that_cannot_work_are_refused(keys, reason):
    with pytest.raises(ConfigurationError, match=reason):
        compose(keys)


def test_sweep_of_several_hosts_is_refused():
    with pytest.raises(ConfigurationError, match="distribute.hosts must be 1 with -m"):
        prepare_sweep([*OF_GROUP, "seed=1,2"])


def test_earlier_run_gives_no_hosts(place):
    settings = compose([*OF_GROUP, "distribute.host=1", "distribute.processes=2"])
    assert settings.distribute.world == 4
    assert list(settings.document()["distribute"]) == ["devices", "processes", "restarts"]


OF_SRUN = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}


def test_host_has_the_number_that_srun_gives():
    refuse_apart("jax", OF_SRUN, hosts=2)
    assert host_number(2, None, OF_SRUN) == 1 and host_number(2, 0, OF_SRUN) == 0 and host_number(1, None, {}) == 0
    with pytest.raises(ConfigurationError, match="distribute.host must be the number of this host, from 0 to 2"):
        host_number(3, None, OF_SRUN)
    with pytest.raises(ConfigurationError, match="got srun with SLURM_STEP_NUM_TASKS=2"):
        refuse_apart("jax", OF_SRUN, hosts=3)
