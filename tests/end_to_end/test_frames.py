"""How deep the calls are: from the command line to Keras's `fit`, and from a worker to the JPEG decoder."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PROBE = """
import json, runpy, threading, traceback
from pathlib import Path
import keras, simplejpeg

def noted(name, function, in_main_thread):
    def call(*arguments, **named):
        file = Path(f"{name}.json")
        is_main = threading.current_thread() is threading.main_thread()
        if is_main == in_main_thread and not file.exists():
            file.write_text(json.dumps([frame.filename for frame in traceback.extract_stack()]))
        return function(*arguments, **named)
    return call

keras.Model.fit = noted("fit", keras.Model.fit, True)
simplejpeg.decode_jpeg = noted("decode", simplejpeg.decode_jpeg, False)
runpy.run_module("runner", run_name="__main__", alter_sys=True)
"""
RUN = ["mode=fit", "data=directory", "data.root=photos", "model=mlp", "train.epochs=1", "loader.workers=1"]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """The files of the frames of two calls of one run, the outermost first."""
    folder = tmp_path_factory.mktemp("frames")
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"):
        file = folder / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(file)
    command = [sys.executable, "-c", PROBE, *RUN, "data.target_size=[8,8]", "data.validation_split=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("fit", "decode")}


def num_own(files):
    return sum(Path(file).is_relative_to(ROOT / "runner") for file in files)


def test_fit_is_twelve_frames_deep(stacks):
    assert num_own(stacks["fit"]) <= 12


def test_fit_is_called_outside_of_hydra(stacks):
    assert not [file for file in stacks["fit"] if "hydra" in Path(file).parts]


def test_decoder_is_twelve_frames_deep(stacks):
    assert num_own(stacks["decode"]) <= 12
