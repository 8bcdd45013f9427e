"""Ranks are started, watched and ended; what they do here is a line of Python for each."""

import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from runner.distribute import group
from runner.distribute.rank_files import START, error_of, note_death, note_error
from runner.distribute.ranks import ALONE, Rank, Share
from runner.errors import BadSampleError, LostRankError, RunnerError, Terminated
from runner.modes.follow import naming_lost_rank
from runner.rank import LogFile

RANK = """
import json, os, signal, sys, time
from pathlib import Path
order = json.loads(sys.stdin.readline())
exec(order["do"][int(sys.argv[1])])
"""
WAIT = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
"""As in a collective, where no handler of a signal runs."""


@pytest.fixture
def supervise(monkeypatch, tmp_path):
    """The exit code of a group whose ranks do these lines, and the number of attempts; a list of them for each."""
    monkeypatch.setattr(group, "COMMAND", (sys.executable, "-c", RANK))
    monkeypatch.setattr(group, "GRACE_SECONDS", 0.2)

    def supervise(*attempts, restarts=2):
        made = []

        def order_of(attempt):
            made.append(attempt)
            return json.dumps({"do": attempts[min(len(made), len(attempts)) - 1]}).encode()

        num = len(attempts[0])
        return group.supervise(group.World(num, num), restarts, order_of, tmp_path), made

    return supervise


def test_group_ends_when_all_ranks_have(supervise):
    assert supervise(["pass", "time.sleep(0.2)"]) == (0, [0])


def test_killed_rank_leaves_no_temporary_files(supervise, tmp_path):
    noted = "Path('scratch').write_text(sys.argv[3]); Path(sys.argv[3], 'half').touch(); os.kill(os.getpid(), 9)"
    assert supervise(["time.sleep(9)", f"os.chdir({str(tmp_path)!r}); {noted}"], restarts=0)[0] == 1
    scratch = Path((tmp_path / "scratch").read_text())
    assert scratch.name.startswith("keras-runner-ranks-") and not scratch.exists()


def test_death_starts_all_ranks_again(supervise, capsys):
    assert supervise([WAIT, "os.kill(os.getpid(), 9)"], ["pass", "pass"]) == (0, [0, 1])
    assert "rank 1 was killed by SIGKILL: all ranks start again from the newest state" in capsys.readouterr().err


@pytest.mark.parametrize("code", [1, LostRankError.exit_code])
def test_error_of_a_survivor_is_not_the_cause(supervise, code):
    killed = "time.sleep(0.2); os.kill(os.getpid(), 9)"
    assert supervise([f"sys.exit({code})", killed], ["pass", "pass"]) == (0, [0, 1])


@pytest.mark.parametrize("survivor", ["os.abort()", f"sys.exit({LostRankError.exit_code})"])
def test_stalled_rank_is_named_not_the_survivor(supervise, capsys, survivor):
    assert supervise([survivor, WAIT], ["pass", "pass"]) == (0, [0, 1])
    assert capsys.readouterr().err == "rank 1 gave no sign of life: all ranks start again from the newest state\n"


def test_ranks_that_lose_each_other_start_again(supervise, capsys):
    lost = f"sys.exit({LostRankError.exit_code})"
    assert supervise([lost, lost], restarts=0) == (1, [0])
    assert "lost its connection to another rank, after 0 restarts" in capsys.readouterr().err


def test_log_of_a_killed_rank_says_so(supervise, tmp_path):
    assert supervise([WAIT, "os.kill(os.getpid(), 9)"], restarts=0)[0] == 1
    assert error_of(tmp_path, 1).lines == ("error: killed by SIGKILL",)
    assert [file.name for file in (tmp_path / "ranks").iterdir()] == ["1.log"]


def test_deaths_end_the_run_at_last(supervise, capsys):
    assert supervise(["os.kill(os.getpid(), 9)", WAIT], restarts=1) == (1, [0, 1])
    assert "error: rank 0 was killed by SIGKILL, after 1 restart (distribute.restarts)\n" in capsys.readouterr().err


def test_death_ends_a_run_that_keeps_no_state(supervise, capsys):
    assert supervise(["os.kill(os.getpid(), 9)"], restarts=None) == (1, [0])
    assert "error: rank 0 was killed by SIGKILL; start the run again\n" in capsys.readouterr().err


def test_files_of_an_earlier_attempt_are_removed(supervise, tmp_path):
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks" / "1-1.handed-in").touch()
    assert supervise(["pass"]) == (0, [0])
    assert not list((tmp_path / "ranks").iterdir())


def test_error_ends_the_run_with_its_message(supervise, capsys):
    bad = 'print("error: cat.jpg cannot be read", file=sys.stderr); sys.exit(4)'
    assert supervise([WAIT, bad]) == (4, [0])
    assert capsys.readouterr().err == "rank 1:\nerror: cat.jpg cannot be read\n"


@pytest.mark.parametrize("rank", [0, 1])
def test_rank_that_ends_without_an_error_is_named(supervise, capsys, rank):
    ranks = ["sys.exit(3)", WAIT]
    assert supervise(ranks if rank == 0 else ranks[::-1])[0] == 3
    printed = capsys.readouterr().err
    assert printed.startswith(f"rank {rank}:\nerror: ended with exit code 3, and no error; its log is ")


@pytest.mark.parametrize(
    ("rank", "error"),
    [
        ("print('error: torn', file=sys.stderr); sys.exit(4)", {"type": "RunnerError", "message": "rank 1: torn"}),
        ("os.kill(os.getpid(), 9)", {"type": "LostRankError", "message": "rank 1 was killed by SIGKILL"}),
    ],
)
def test_record_that_rank_0_left_has_the_cause(supervise, tmp_path, rank, error):
    (tmp_path / "run.json").write_text('{"status": "running"}')
    supervise([WAIT, rank], restarts=0)
    document = json.loads((tmp_path / "run.json").read_text())
    assert (document["status"], document["error"]) == ("failed", error)


def test_later_error_is_not_the_cause(supervise, capsys):
    bad = 'print("error: cat.jpg cannot be read", file=sys.stderr); sys.exit(4)'
    lost = "time.sleep(0.3); sys.exit(1)"
    assert supervise([lost, bad]) == (4, [0])
    assert "cat.jpg" in capsys.readouterr().err


def test_lost_rank_is_named_with_its_error(tmp_path):
    (tmp_path / "ranks").mkdir()
    note_error(tmp_path, 1, BadSampleError("cat.jpg", "torn"))
    jax = type("JaxRuntimeError", (RuntimeError,), {})
    with pytest.raises(LostRankError, match="^rank 1: cat.jpg: torn$"), naming_lost_rank(Rank(0, 2), tmp_path):
        raise jax("FAILED_PRECONDITION: task 1")
    (tmp_path / "ranks" / "1-error.handed-in").unlink()
    with pytest.raises(jax, match="INTERNAL"), naming_lost_rank(Rank(0, 2), tmp_path):
        raise jax("INTERNAL: a bug")
    (tmp_path / "ranks" / "1.log").write_text(f"error: old\n{START}fit\nerror: cat.jpg cannot be read\n")
    with pytest.raises(LostRankError, match="^rank 1: cat.jpg cannot be read$"), naming_lost_rank(Rank(0, 2), tmp_path):
        raise RuntimeError("Gloo all-reduce failed: Connection reset by peer")
    with pytest.raises(RuntimeError, match="out of memory"), naming_lost_rank(Rank(0, 2), tmp_path):
        raise RuntimeError("out of memory")


def test_rank_ended_for_another_has_its_error(tmp_path):
    (tmp_path / "ranks").mkdir()
    (tmp_path / "ranks" / "1.log").write_text(START)
    with pytest.raises(Terminated), naming_lost_rank(Rank(0, 2), tmp_path):
        raise Terminated
    note_death(tmp_path, 1, -9)
    with pytest.raises(LostRankError, match="^rank 1: killed by SIGKILL$"), naming_lost_rank(Rank(0, 2), tmp_path):
        raise Terminated


def test_port_that_is_taken_is_no_death(supervise):
    assert supervise(["sys.exit(75)", WAIT], ["pass", "pass"], restarts=0) == (0, [0, 0])


def test_ports_that_are_all_taken_end_the_run(supervise, capsys):
    assert supervise(["sys.exit(75)"]) == (1, [0] * group.MOST_PORTS)
    assert "error: rank 0 could not connect at 127.0.0.1:" in capsys.readouterr().err


def test_ranks_in_a_collective_are_killed(supervise):
    start = time.monotonic()
    assert supervise(["sys.exit(2)", WAIT])[0] == 2
    assert time.monotonic() - start < 15


def test_signal_reaches_rank_0_alone(supervise, tmp_path):
    ready = f"Path({str(tmp_path)!r}, 'ready').touch()"
    first = f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); {ready}; time.sleep(60)"
    other = f"signal.signal(signal.SIGTERM, lambda *_: (Path({str(tmp_path)!r}, 'asked').touch(), os._exit(1))); {WAIT}"

    def stop():
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    assert supervise([first, other]) == (143, [0])
    thread.join()


def test_ranks_get_a_line_when_their_group_ends(supervise, tmp_path):
    noted = f"Path({str(tmp_path)!r}, 'line').write_text(sys.stdin.readline())"
    assert supervise(["time.sleep(0.1); sys.exit(2)", f"signal.signal(15, signal.SIG_IGN); {noted}"])[0] == 2
    assert (tmp_path / "line").read_text() == "end\n"


def test_ranks_end_with_their_parent(supervise, tmp_path):
    held = group.RankGroup(range(1), "", json.dumps({"do": ["sys.stdin.read(1)"]}).encode(), tmp_path)
    held.ranks[0].stdin.close()
    assert held.ranks[0].wait(30) == 0
    held.close()


@pytest.mark.parametrize(("num_rows", "world", "devices"), [(8, 2, 2), (8, 2, 4), (12, 3, 3), (8, 4, 8)])
def test_shares_make_up_the_batch(num_rows, world, devices):
    rows = list(range(num_rows))
    shares = [Share(Rank(number, world), devices).of(rows) for number in range(world)]
    assert [row for share in shares for row in share] == rows and len({*map(len, shares)}) == 1


def test_batch_that_cannot_be_divided_is_whole():
    assert Share(Rank(1, world=2), 4).of([1, 2, 3, 4, 5, 6]) == [1, 2, 3, 4, 5, 6]
    assert ALONE.share(4) is None


def test_log_that_cannot_be_opened_ends_all(supervise, tmp_path):
    (tmp_path / "ranks" / "1.log").mkdir(parents=True)
    before = psutil.Process().children()
    with pytest.raises(RunnerError, match=r"^cannot write .*1\.log: Is a directory$"):
        supervise([WAIT, "pass"])
    assert psutil.Process().children() == before


def test_full_log_ends_no_rank(tmp_path):
    with Path("/dev/full").open("wb") as full:
        log = io.TextIOWrapper(LogFile(full.fileno()), write_through=True)
        assert print("epoch 1", file=log, flush=True) is None
    with (tmp_path / "1.log").open("wb") as file:
        print("epoch 1", file=io.TextIOWrapper(LogFile(file.fileno()), write_through=True))
    assert (tmp_path / "1.log").read_text() == "epoch 1\n"
