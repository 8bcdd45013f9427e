"""Ways to turn a folder of photographs into shuffled batches of 32 × 224×224×3: ours, and what people use today.

Each contender is a function of the folder that returns an object to iterate over, once per epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import Contenders, Epochs

BATCH_SIZE, SIDE = 32, 224


def runner_loader(kind: str, **settings: Any) -> Callable[[Path], Epochs]:
    """One of the runner's own loaders."""

    def open_loader(root: Path) -> Epochs:
        import runner

        keys = {"data.root": root, "loader.batch_size": BATCH_SIZE, **settings}
        overrides = [f"{key}={value}" for key, value in keys.items()]
        config = runner.compose(
            [
                "data=directory",
                f"loader={kind}",
                f"data.target_size=[{SIDE},{SIDE}]",
                "data.validation_split=0",
                *overrides,
            ]
        )
        return runner.build_loader(config).epoch

    return open_loader


def keras_flow(root: Path) -> Epochs:
    """`ImageDataGenerator().flow_from_directory`, read by two threads."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    flow = ImageDataGenerator().flow_from_directory(
        str(root), target_size=(SIDE, SIDE), batch_size=BATCH_SIZE, interpolation="bilinear"
    )
    flow.workers = 2
    return epochs_of(flow)


def keras_sequence(root: Path) -> Epochs:
    """The tutorials' `Sequence` over a list of files, read by two threads."""
    import keras
    import numpy as np
    from PIL import Image

    files = sorted(root.glob("*/*.jpg"))
    classes = sorted({file.parent.name for file in files})

    class DataGenerator(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__(workers=2)
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-len(files) // BATCH_SIZE)

        def on_epoch_end(self) -> None:
            self.order = np.random.permutation(len(files))

        def __getitem__(self, index: int) -> Any:
            chosen = [files[i] for i in self.order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]]
            x = np.empty((len(chosen), SIDE, SIDE, 3), np.float32)
            for row, file in enumerate(chosen):
                x[row] = Image.open(file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            y = [classes.index(file.parent.name) for file in chosen]
            return x, keras.utils.to_categorical(y, len(classes))

    return epochs_of(DataGenerator())


def keras_image_dataset(root: Path) -> Epochs:
    """`image_dataset_from_directory`: tf.data, not antialiased."""
    import keras
    import tensorflow as tf

    dataset = keras.utils.image_dataset_from_directory(
        str(root), image_size=(SIDE, SIDE), batch_size=BATCH_SIZE, seed=0, verbose=False
    ).prefetch(tf.data.AUTOTUNE)
    return lambda epoch: dataset


def epochs_of(dataset: Any) -> Epochs:
    """The epochs of a PyDataset, through the same adapter that `fit` uses."""
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    adapter = PyDatasetAdapter(dataset)

    def epoch(number: int) -> Iterator[Any]:
        adapter.on_epoch_begin()
        yield from adapter.get_numpy_iterator()
        adapter.on_epoch_end()

    return epoch


CONTENDERS: Contenders = {
    "runner sequence, 2 threads": runner_loader("sequence", **{"loader.workers": 2}),
    "runner sequence, antialias=false": runner_loader("sequence", **{"loader.workers": 2, "data.antialias": "false"}),
    "runner sequence, decode=exact": runner_loader("sequence", **{"loader.workers": 2, "data.decode": "exact"}),
    "runner sequence, 2 processes": runner_loader(
        "sequence", **{"loader.workers": 2, "loader.use_multiprocessing": "true"}
    ),
    "runner generator": runner_loader("generator"),
    "runner in_memory, later epochs": runner_loader("in_memory", **{"loader.workers": 2}),
    "Keras Sequence of the tutorials": keras_sequence,
    "Keras flow_from_directory": keras_flow,
    "Keras image_dataset_from_directory": keras_image_dataset,
}
