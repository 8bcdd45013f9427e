"""Storage that is lost in the middle of a run: no fault of the samples."""

import errno
import os

import numpy as np
import pytest

from runner import build_loader, compose
from runner.errors import BadSampleError, StorageError
from runner.loaders.draw import Draw
from runner.loaders.reader import OnBad, SampleReader
from tests.support.photos import write_photos
from tests.support.sources import NumberSource

pytestmark = pytest.mark.usefixtures("forked_workers")

LOST = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EACCES, errno.ENOENT)
WAYS = [
    ["loader=generator"],
    ["loader=sequence", "loader.workers=0"],
    ["loader=sequence", "loader.workers=2"],
    ["loader=directory_flow", "loader.workers=2"],
    ["loader=in_memory", "loader.workers=2"],
    ["loader=sequence", "loader.workers=1", "loader.use_multiprocessing=true"],
]


def refused(number):
    """What reading raises where the system refuses with this error number."""

    def error(name):
        bad = BadSampleError(name, os.strerror(number).lower())
        bad.__cause__ = OSError(number, os.strerror(number), f"/mnt/gone/{name}")
        return bad

    return error


def fill(bad, number, choice="skip"):
    source = NumberSource(200, bad=bad, error=refused(number))
    return SampleReader(source, on_bad=OnBad(choice)).fill(Draw.of_pass(np.arange(4), 0), np.empty((4, 1), np.float32))


@pytest.mark.parametrize("choice", ["raise", "skip", "substitute"])
@pytest.mark.parametrize("number", LOST)
def test_lost_storage_is_no_bad_sample(number, choice):
    reason = os.strerror(number).lower()
    message = rf"storage of the data cannot be read any more: s0: {reason}, and none of 100 samples tried after it "
    with pytest.raises(StorageError, match=message):
        fill(range(200), number, choice)


@pytest.mark.parametrize("number", LOST)
def test_one_sample_refused_is_a_bad_sample(number):
    assert [bad.name for bad in fill(range(100), number).bad] == ["s0", "s1", "s2", "s3"]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM])
def test_machine_to_blame_is_no_lost_storage(number):
    with pytest.raises(BadSampleError, match=r"^s0: "):
        fill(range(200), number)


def test_missing_files_are_no_lost_storage(tmp_path):
    def missing(name):
        bad = BadSampleError(name, "no such file")
        bad.__cause__ = FileNotFoundError(errno.ENOENT, "", str(tmp_path / name))
        return bad

    source = NumberSource(200, bad=range(200), error=missing)
    piece = SampleReader(source, on_bad=OnBad("skip")).fill(Draw.of_pass(np.arange(4), 0), np.empty((4, 1), np.float32))
    assert len(piece.bad) == 4


@pytest.mark.parametrize("keys", WAYS, ids=" ".join)
def test_folder_that_vanishes_ends_the_run(keys, tmp_path):
    write_photos(tmp_path / "photos", ("cat", "dog"), 20)
    data = ["data=directory", f"data.root={tmp_path / 'photos'}", "data.target_size=[8,8]", "data.on_bad=skip"]
    with build_loader(compose([*data, *keys, "loader.batch_size=4"])) as loader:
        (tmp_path / "photos").rename(tmp_path / "unmounted")
        with pytest.raises(StorageError, match=r"any more: .*\.png: no such file, and none of \d+ samples"):
            list(loader.epoch(0))
