"""Runs on a pack: the same run as on the files, to the last bit, where the pack keeps their bytes."""

import shutil
import signal

import pytest

from runner import compose
from runner.errors import ConfigurationError, VerifyError
from runner.loaders.sequence import SequenceLoader
from runner.modes.run import run
from tests.support.packs import write_pack
from tests.support.photos import write_photos
from tests.support.run_files import read_document, untimed_metrics

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")  # no test here looks at one

QUICK = ["train.epochs=1", "model=mlp", "model.hidden_units=[8]", "loader.workers=2", "loader.batch_size=8"]
QUICK += ["train.optimizer={name: sgd, momentum: 0.9}"]  # Adam takes half of the time of a step


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photographs, a run on them, and their pack."""
    root = tmp_path_factory.mktemp("first")
    write_photos(root / "photos", ["cat", "dog", "emu"], 12)
    data = ["data=directory", f"data.root={root}/photos", "data.target_size=[8,8]", "data.test_split=0.2"]
    (root / "run").mkdir()
    run(compose([*data, *QUICK]), folder=root / "run")
    write_pack(root, *data)
    write_pack(root, *data, "pack.encode=jpeg:90:6", to="smaller")
    return root


def packed(root, to="packed", first="run"):
    return compose([f"rerun={root / first}", "verify=true", "data=pack", f"data.root={root / to}"])


def test_run_on_a_pack_is_the_run_on_files(place, folder):
    verified = run(packed(place), folder=folder).document["verified"]
    assert verified["identical"]
    assert "data (contents of 36 files)" in verified["compared"]
    assert "data.kind changed from directory to pack" in verified["changed"]
    assert verified["not_compared"] == []


def test_order_inside_a_pack_changes_nothing(place, folder, tmp_path):
    (tmp_path / "shuffled").mkdir()
    config = compose([f"rerun={place / 'run'}", "data=pack", f"data.root={place / 'packed'}", "mode=fit"])
    run(config, folder=tmp_path / "shuffled")
    kept = write_pack(tmp_path, "data=pack", f"data.root={place / 'packed'}", "pack.order=kept", to="kept")
    config = compose([f"rerun={tmp_path / 'shuffled'}", "verify=true", f"data.root={kept}"])
    assert run(config, folder=folder).document["verified"]["identical"]


def test_run_on_a_pack_of_other_bytes_differs(place, folder, tmp_path):
    root = shutil.copytree(place / "photos", tmp_path / "photos")
    shutil.copy(root / "cat" / "01.png", root / "cat" / "00.png")
    shutil.copytree(place / "run", tmp_path / "first")
    data = ["data=directory", f"data.root={root}", "data.target_size=[8,8]", "data.test_split=0.2"]
    write_pack(tmp_path, *data)
    with pytest.raises(VerifyError, match=r"content of cat/00\.png changed"):
        run(packed(tmp_path, first="first"), folder=folder)


def test_verify_refuses_other_encodings(place, folder):
    message = (
        r"verify must compare a run on the same bytes, got data\.root=.*, packed with pack\.encode=jpeg:90:6, which"
    )
    with pytest.raises(ConfigurationError, match=message):
        run(packed(place, to="smaller"), folder=folder)


def test_model_is_evaluated_on_a_pack(place, folder, tmp_path):
    results = []
    for name, data in (("files", []), ("pack", ["data=pack", f"data.root={place / 'packed'}"])):
        (tmp_path / name).mkdir()
        config = compose(["mode=evaluate", f"from_run={place / 'run'}", *data])
        results.append(run(config, folder=tmp_path / name).document["results"]["evaluate"])
    measured = [{key: one[key] for key in ("loss", "accuracy")} for one in results]
    assert measured[0] == measured[1]


def test_run_by_blocks_resumes_inside_a_window(place, folder, tmp_path, monkeypatch):
    blocks = ["loader.order=blocks", "loader.block_mb=0.004", "loader.window_mb=0.05", "loader.batch_size=3"]
    config = [*("mode=fit", "data=pack", f"data.root={place / 'packed'}"), *QUICK, *blocks, "train.epochs=2"]
    whole, stopped = run(compose(config), folder=folder).path, tmp_path / "stopped"
    stopped.mkdir()
    stream = SequenceLoader.stream

    def interrupted(*arguments):
        for number, batch in enumerate(stream(*arguments)):
            if number == 5:
                signal.raise_signal(signal.SIGINT)
            yield batch

    monkeypatch.setattr(SequenceLoader, "stream", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(compose([*config, "loader=sequence"]), folder=stopped)
    monkeypatch.undo()
    done = read_document(stopped)["digests"]
    run(compose([f"resume={stopped}", "loader.workers=1"]))
    assert done != read_document(stopped)["digests"] == read_document(whole)["digests"]
    assert untimed_metrics(stopped) == untimed_metrics(whole)
