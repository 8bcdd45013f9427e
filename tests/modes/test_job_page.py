"""What a run says first, and when it draws its page: a job of a sweep leaves that to the end of the sweep."""

import pytest

from runner import compose
from runner.errors import DataError
from runner.modes.run import _reporting, run
from runner.modes.terminal import Terminal
from runner.records.record import RunRecord


@pytest.mark.parametrize(
    ("of_sweep", "tracker", "draws"), [(False, "none", True), (True, "none", False), (True, "tensorboard", True)]
)
def test_job_of_a_sweep_draws_no_page(of_sweep, tracker, draws, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr("runner.modes.run.write_report", lambda folder, **_: drawn.append(folder) or folder)
    if of_sweep:
        (tmp_path / "sweep.json").write_text("{}")
    folder = tmp_path / "0"
    folder.mkdir()
    record = RunRecord.open(folder, backend="jax")
    with _reporting(compose([f"tracker={tracker}"]), record, Terminal()):
        record.close("completed")
    assert drawn == [folder] * draws
    assert ("report " in capsys.readouterr().out) is draws


def test_folder_is_named_before_data_are_listed(tmp_path, monkeypatch, capsys):
    def list_data(*_):
        raise DataError(capsys.readouterr().out)

    monkeypatch.setattr("runner.modes.fit.open_dataset", list_data)
    with pytest.raises(DataError, match=f"^run       {tmp_path}\n$"):
        run(compose(["tracker=none"]), folder=tmp_path)
