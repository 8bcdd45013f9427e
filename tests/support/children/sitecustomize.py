"""Processes of tests import Keras without packages that it only looks for: 6 s of CPU time in place of 11.

Python imports this module as it starts a process of a test, from PYTHONPATH; the tests' own process imports it by name.
"""

import atexit
import gc
import os
import sys

UNUSED = {"jax", "matplotlib", "pandas", "sklearn", "tensorflow"}
"""What Keras imports to know its types and for functions that a run never calls; the runner may import them itself."""


class NotForKeras:
    """Finds nothing where Keras or TensorFlow looks for one of those packages."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in UNUSED and name != os.environ.get("KERAS_BACKEND", "tensorflow"):
            frame = sys._getframe(1)
            while frame and "importlib" in frame.f_code.co_filename:
                frame = frame.f_back
            if frame and frame.f_globals.get("__name__", "").partition(".")[0] in ("keras", "tensorflow"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NotForKeras)
atexit.register(gc.freeze)  # Python collects garbage as it ends, which takes 2 s with the modules of Keras
