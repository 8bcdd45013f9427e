"""How deep the calls are: from the command line to Keras's `fit`, and from a worker to the JPEG decoder."""

import runpy
import sys
import threading
import traceback
from pathlib import Path

import pytest
from PIL import Image

from tests.support.pages import without_pages

ROOT = Path(__file__).parents[2]
RUN = ["mode=fit", "data=directory", "data.root=photos", "model=mlp", "train.epochs=1", "loader.workers=1"]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory, eager):
    """The files of the frames of two calls of one run, the outermost first."""
    import keras
    import simplejpeg

    folder = tmp_path_factory.mktemp("frames")
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"):
        file = folder / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(file)
    found, words = {}, [*RUN, "data.target_size=[8,8]", "data.validation_split=0"]

    def noted(name, function, in_main_thread):
        def call(*arguments, **named):
            if (threading.current_thread() is threading.main_thread()) == in_main_thread:
                found.setdefault(name, [frame.filename for frame in traceback.extract_stack()])
            return function(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patched, without_pages():
        patched.setattr("keras.Model.fit", noted("fit", keras.Model.fit, True))
        patched.setattr("simplejpeg.decode_jpeg", noted("decode", simplejpeg.decode_jpeg, False))
        patched.setattr("runner.exit.leave", lambda code: None)  # it ends the process
        patched.setattr(sys, "excepthook", sys.excepthook)
        patched.setattr(sys, "argv", ["runner", *words])
        patched.delitem(sys.modules, "runner.__main__", raising=False)
        patched.chdir(folder)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("runner", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    return found


def num_own(files):
    return sum(Path(file).is_relative_to(ROOT / "runner") for file in files)


def test_fit_is_twelve_frames_deep(stacks):
    assert num_own(stacks["fit"]) <= 12


def test_fit_is_called_outside_of_hydra(stacks):
    assert not [file for file in stacks["fit"] if "hydra" in Path(file).parts]


def test_decoder_is_twelve_frames_deep(stacks):
    assert num_own(stacks["decode"]) <= 12
