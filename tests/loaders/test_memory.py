"""How much memory there is, and who is refused."""

import resource
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import machine
from runner.errors import DataError
from runner.machine import available_bytes, refuse_too_large
from runner.messages import format_bytes


def limit(folder, *, most, used, cached=0):
    folder.mkdir(exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - cached}\nactive_file {cached}\ninactive_file 0\n")
    return folder


def test_free_memory_is_what_a_limit_leaves(tmp_path):
    assert available_bytes(limit(tmp_path / "group", most=5000, used=2000)) == 3000


def test_files_kept_in_memory_count_as_free(tmp_path):
    assert available_bytes(limit(tmp_path / "group", most=5000, used=4900, cached=4000)) == 4100


def test_limit_of_a_group_above_holds_too(tmp_path):
    above = limit(tmp_path / "above", most=1000, used=100)
    assert available_bytes(limit(above / "own", most=5000, used=0)) == 900


def test_limit_that_is_exceeded_leaves_nothing(tmp_path):
    assert available_bytes(limit(tmp_path / "group", most=1000, used=1100)) == 0


@pytest.mark.parametrize("most", ["max", None])
def test_without_a_limit_the_machine_counts(most, tmp_path):
    folder = limit(tmp_path / "group", most=most, used=0) if most else tmp_path / "none"
    assert available_bytes(folder) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_limit_of_control_groups_version_1(tmp_path):
    for name, number in (("limit_in_bytes", 5000), ("usage_in_bytes", 4900)):
        (tmp_path / f"memory.{name}").write_text(f"{number}\n")
    (tmp_path / "memory.stat").write_text("active_file 7\ntotal_active_file 3000\ntotal_inactive_file 1000\n")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (tmp_path / "own" / "memory.usage_in_bytes").write_text("10\n")
    assert available_bytes(tmp_path / "own") == 4100


GROUPS = {
    "0::/user/run\n": ["user/run"],
    "9:name=systemd:/\n4:memory:/job/7\n0::/\n": ["memory/job/7", ""],
    "5:cpu,memory:/job\n": ["memory/job"],
    "": [""],
}


@pytest.mark.parametrize("text", GROUPS)
def test_own_groups_of_both_versions_are_found(text, monkeypatch):
    monkeypatch.setattr(machine, "_read", lambda file: text)
    assert list(machine._own_cgroups()) == [machine.CGROUPS / name for name in GROUPS[text]]


@pytest.mark.parametrize("kind", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_limit_of_the_process_holds(kind, tmp_path):
    before = resource.getrlimit(kind)
    used = machine._counts(Path("/proc/self/status"))[dict(machine.RLIMITS)[kind]]
    try:
        resource.setrlimit(kind, (used + 500_000_000, before[1]))
        assert available_bytes(tmp_path) == pytest.approx(500_000_000, rel=0.2)
    finally:
        resource.setrlimit(kind, before)


def test_own_group_is_found():
    assert 0 < available_bytes() <= psutil.virtual_memory().total


def test_oversized_loader_is_refused_with_sizes():
    refuse_too_large(10, 10, kind="in_memory")
    expected = (
        r"^loader=in_memory needs 3\.0 TB of memory for this data, but only 64\.0 GB are free; "
        r"choose loader=sequence, .*\(data\.target_size\)$"
    )
    with pytest.raises(DataError, match=expected):
        refuse_too_large(3 * 10**12, 64 * 10**9, kind="in_memory")


def test_processes_share_the_memory_of_a_host(tmp_path):
    assert available_bytes(limit(tmp_path / "group", most=5000, used=2000), processes=4) == 750
    expected = "data in each of 4 processes, but only 1 B are free for each; .*, lower distribute.processes, or"
    with pytest.raises(DataError, match=expected):
        refuse_too_large(2, 1, kind="in_memory", processes=4)


def test_oversized_streaming_suggests_less():
    with pytest.raises(DataError, match=r"lower loader\.max_queue_size or loader\.batch_size"):
        refuse_too_large(2, 1, kind="sequence")


def test_bytes_have_a_decimal_prefix():
    shown = [format_bytes(count) for count in (0, 999, 1000, 1_340_000, 2e9, 3e12, 5e15)]
    assert shown == ["0 B", "999 B", "1.0 kB", "1.3 MB", "2.0 GB", "3.0 TB", "5000.0 TB"]


@given(st.integers(1000, 10**15))
def test_bytes_shown_are_near_the_bytes_there_are(count):
    number, unit = format_bytes(count).split()
    assert float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit] == pytest.approx(count, rel=0.05)
