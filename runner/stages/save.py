"""The final model, as a file and as a digest."""

from __future__ import annotations

from pathlib import Path

import keras

from runner.records.digests import weights_digest
from runner.records.files import replacing


def save(model: keras.Model, file: Path) -> str:
    """Write the model to `file` and return the digest of its weights.

    Variables go by position: Keras changes their names when it loads a model, and the bytes of a file differ from
    one writing to the next.
    """
    with replacing(file) as temporary:
        model.save(temporary)
    return weights_digest(
        (str(number), keras.ops.convert_to_numpy(variable)) for number, variable in enumerate(model.variables)
    )
