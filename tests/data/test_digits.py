"""data=digits: written once, whole or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sklearn.datasets import load_digits

from runner.data.digits import Digits, write_digits


def test_digits_are_all_there_pixel_by_pixel(digits_root):
    dataset = Digits(root=digits_root, validation_split=0.0, test_split=0.0).open()
    train, digits = dataset.splits["train"], load_digits()
    assert len(train) == 1797
    for index in (0, 900, 1796):
        digit, number = train.ids[index].removesuffix(".png").split("/")
        assert int(digit) == digits.target[int(number)]
        assert (train.read(index)[..., 0] == (digits.images[int(number)] * 255 / 16).round()).all()


def test_digits_are_written_only_once(tmp_path):
    data = Digits(root=tmp_path / "deep" / "digits")
    data.open()
    written = (data.root / "0" / "0000.png").stat().st_mtime_ns
    data.open()
    assert (data.root / "0" / "0000.png").stat().st_mtime_ns == written
    assert [file.name for file in data.root.parent.iterdir()] == ["digits"]


def test_digits_written_by_two_at_once_are_whole(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write_digits, [tmp_path / "digits"] * 2))
    assert len(list((tmp_path / "digits").glob("*/*.png"))) == 1797
    assert [file.name for file in tmp_path.iterdir()] == ["digits"]


def test_digits_interrupted_leave_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.data.digits._publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_digits(tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []
