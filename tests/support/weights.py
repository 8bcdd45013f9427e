"""A tiny network in the place of EfficientNetB0, whose weights `imagenet` are a file made on the spot."""

import hashlib
import socket
from functools import partial

import keras
import pytest

FILE = "efficientnetb0_notop.h5"


class KerasHome:
    """Keras's folder, the network, and where Keras downloads from: a closed port, until `url` is set."""

    def __init__(self, patched, root):
        from keras.src.applications import efficientnet
        from keras.src.backend import config

        self._patched, self._module = patched, efficientnet
        self.folder, self.file = root / "models", root / "models" / FILE
        block = {"kernel_size": 3, "filters_in": 8, "filters_out": 8, "expand_ratio": 1, "id_skip": True, "strides": 2}
        self.network = partial(
            efficientnet.EfficientNet, 0.25, 1, 224,
            blocks_args=[{**block, "repeats": 1, "se_ratio": 0}], name="efficientnetb0", weights_name="b0",
        )  # fmt: skip
        self.folder.mkdir(parents=True)
        patched.setattr(config, "_KERAS_DIR", str(root))
        patched.setattr(keras.applications, "EfficientNetB0", self.network)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}/"

    @property
    def url(self):
        return self._module.BASE_WEIGHTS_PATH

    @url.setter
    def url(self, url):
        self._patched.setattr(self._module, "BASE_WEIGHTS_PATH", url)

    def make(self, file, seed=0):
        """Write a file of weights, and make it the one that Keras expects; returns the network."""
        keras.utils.set_random_seed(seed)
        network = self.network(include_top=False, weights=None, input_shape=(32, 32, 3))
        network.save(file)
        self.expect(file)
        return network

    def expect(self, file):
        """Make the bytes of a file those that Keras expects, by their hash."""
        from runner.models.imagenet import KNOWN

        digest = hashlib.md5(file.read_bytes()).hexdigest()
        self._patched.setitem(self._module.WEIGHTS_HASHES, "b0", (digest, digest))
        KNOWN.clear()


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    from runner.models.imagenet import KNOWN

    KNOWN.clear()
    yield KerasHome(monkeypatch, tmp_path / "keras")
    KNOWN.clear()
