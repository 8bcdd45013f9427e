"""Weights by name: files in Keras's folder, downloads, and what is said where neither is possible."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import ConfigurationError
from runner.models.application import Application
from runner.models.base import Task, output_of
from runner.models.imagenet import KNOWN, fetch
from tests.support.weights import FILE

SPEC = ArraySpec((32, 32, 3), np.dtype(np.uint8))
TASK = Task(SPEC, "builtin", (output_of(Head("", "sparse", ("a", "b")), SPEC.shape),))
NAMED = Application(name="EfficientNetB0", weights="imagenet")


def base_of(settings):
    return next(layer for layer in settings.build(TASK).layers if isinstance(layer, keras.Model))


def same_weights(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Print nothing."""


@pytest.fixture
def served(keras_home, tmp_path):
    """A folder from which Keras downloads."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keras_home.url = f"http://127.0.0.1:{server.server_port}/"
    yield folder
    server.shutdown()
    server.server_close()


def test_file_in_place_is_loaded(keras_home):
    made = keras_home.make(keras_home.file)
    assert same_weights(base_of(NAMED), made)
    assert NAMED.initial_weights(TASK).file == keras_home.file
    assert NAMED.initial_weights(TASK).url == f"{keras_home.url}{FILE}"


def test_missing_file_is_named_with_its_url(keras_home):
    message = (
        f"model.weights=imagenet needs {FILE} for EfficientNetB0, and {keras_home.url}{FILE} cannot be downloaded "
        f"([Errno 111] Connection refused); on a machine with a network, download it, and put it into "
        f"{keras_home.folder} here, or give model.weights=FILE"
    )
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        NAMED.fetch_weights((32, 32))
    assert not list(keras_home.folder.iterdir())


def test_one_file_fits_images_of_all_sizes(keras_home, served):
    keras_home.make(served / FILE)
    NAMED.fetch_weights(None)
    assert fetch("EfficientNetB0", SPEC.shape).file == keras_home.file


def test_file_of_one_size_waits_for_the_data(keras_home):
    """MobileNet has a file for each of some sizes."""
    NAMED.model_copy(update={"name": "MobileNet"}).fetch_weights(None)
    assert not KNOWN and not list(keras_home.folder.iterdir())


def test_file_is_downloaded_once(keras_home, served):
    made = keras_home.make(served / FILE)
    assert fetch("EfficientNetB0", SPEC.shape).file == keras_home.file
    assert [file.name for file in keras_home.folder.iterdir()] == [FILE]
    (served / FILE).unlink()
    assert same_weights(base_of(NAMED), made)


def test_refused_download_names_the_status(keras_home, served):
    with pytest.raises(ConfigurationError, match=r"cannot be downloaded \(404 -- File not found\)"):
        NAMED.fetch_weights((32, 32))


def test_download_with_another_hash_is_removed(keras_home, served):
    (served / FILE).write_bytes(b"another file")
    with pytest.raises(ConfigurationError, match=r"cannot be downloaded \(Incomplete or corrupted file detected"):
        NAMED.fetch_weights((32, 32))
    assert not list(keras_home.folder.iterdir())


def test_file_with_another_hash_stays(keras_home, served):
    keras_home.make(served / FILE)
    keras_home.file.write_bytes(b"half a file")
    with pytest.raises(ConfigurationError, match=rf"{keras_home.file} must have the hash .*{FILE}, and has another"):
        NAMED.fetch_weights((32, 32))
    assert keras_home.file.read_bytes() == b"half a file"


def test_file_of_other_weights_is_refused(keras_home):
    keras_home.file.write_bytes(b"no weights")
    keras_home.expect(keras_home.file)
    with pytest.raises(
        ConfigurationError, match=rf"{keras_home.file} does not hold the weights of .*; remove the file"
    ):
        NAMED.build(TASK)


def test_network_of_a_state_needs_no_file(keras_home):
    """EfficientNets with named weights have one more layer, which the state does not hold."""
    bare = base_of(NAMED.without_initial_weights())
    keras_home.make(keras_home.file)
    assert [layer.__class__ for layer in bare.layers] == [layer.__class__ for layer in base_of(NAMED).layers]


def test_file_depends_on_the_size_of_images(monkeypatch, tmp_path):
    from keras.src.applications import mobilenet
    from keras.src.backend import config

    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    with pytest.raises(ConfigurationError, match=r"needs mobilenet_1_0_128_tf_no_top.h5 for MobileNet"):
        fetch("MobileNet", (128, 128, 3))
