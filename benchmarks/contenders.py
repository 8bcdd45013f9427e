"""Ways to turn a folder of photographs into shuffled batches of 32 × 224×224×3: ours, and what people use today.

Each contender is a function of the folder that returns an object to iterate over, once per epoch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from measuring import Contenders, Epochs

BATCH_SIZE, SIDE = 32, 224
AHEAD, PIECE = 3, 8


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


def by_two_threads(read: Callable[[Path, Any], None]) -> Callable[[Path], Epochs]:
    """The limit: two threads that only call `read(file, out)`, eight files per task, into the same few arrays."""

    def open_pool(root: Path) -> Epochs:
        import numpy as np

        files, pool = sorted(root.glob("*/*.jpg")), ThreadPoolExecutor(2)
        batches = [np.empty((BATCH_SIZE, SIDE, SIDE, 3), np.uint8) for _ in range(AHEAD + 1)]

        def piece(chosen: list[Path], rows: Any) -> None:
            for file, row in zip(chosen, rows, strict=True):
                read(file, row)

        def batch(number: int, chosen: list[Path]) -> tuple[Any, list[Future[None]]]:
            x = batches[number % len(batches)][: len(chosen)]
            starts = range(0, len(chosen), PIECE)
            return x, [pool.submit(piece, chosen[s : s + PIECE], x[s : s + PIECE]) for s in starts]

        def epoch(number: int) -> Iterator[Any]:
            order = np.random.default_rng(number).permutation(len(files)).tolist()
            starts = range(0, len(files), BATCH_SIZE)
            pending: deque[tuple[Any, list[Future[None]]]] = deque()
            for count, start in enumerate(starts):
                pending.append(batch(count, [files[i] for i in order[start : start + BATCH_SIZE]]))
                while pending and (len(pending) > AHEAD or count + 1 == len(starts)):
                    x, futures = pending.popleft()
                    for future in futures:
                        future.result()
                    yield (x,)

        return epoch

    return open_pool


def decode_alone(factor: int = 1) -> Callable[[Path, Any], None]:
    """The floor of all that decode: libjpeg-turbo at its quickest, into memory that is thrown away."""
    kept = threading.local()

    def read(file: Path, out: Any) -> None:
        import numpy as np
        import simplejpeg

        data = file.read_bytes()
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if not hasattr(kept, "buffer"):
            kept.buffer = np.empty(3 * height * width * 2, np.uint8)
        size = {"min_height": height // factor, "min_width": width // factor, "min_factor": factor}
        simplejpeg.decode_jpeg(data, "RGB", fastdct=True, fastupsample=True, buffer=kept.buffer, **size)

    return read


def pillow(file: Path, out: Any) -> None:
    """Pillow's decoder and its antialiased bilinear filter."""
    from PIL import Image

    with Image.open(file) as image:
        out[...] = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def tf_data(root: Path) -> Epochs:
    """tf.data by hand, for speed only: fast decoding, no antialiasing, any order, uint8."""
    import tensorflow as tf

    files = sorted(map(str, root.glob("*/*.jpg")))

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_FAST", fancy_upscaling=False)
        return tf.cast(tf.ensure_shape(tf.image.resize(image, (SIDE, SIDE)), (SIDE, SIDE, 3)) + 0.5, tf.uint8)

    options = tf.data.Options()
    options.deterministic = False
    dataset = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files)).with_options(options)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    return lambda epoch: ((batch,) for batch in dataset)


def keras_flow(root: Path) -> Epochs:
    """`ImageDataGenerator().flow_from_directory`, read by two threads."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    flow = ImageDataGenerator().flow_from_directory(
        str(root), target_size=(SIDE, SIDE), batch_size=BATCH_SIZE, interpolation="bilinear"
    )
    flow.workers = 2
    return epochs_of(flow)


def keras_sequence(root: Path, **workers: Any) -> Epochs:
    """The tutorials' `Sequence` over a list of files."""
    import keras
    import numpy as np
    from PIL import Image

    files = sorted(root.glob("*/*.jpg"))
    classes = sorted({file.parent.name for file in files})

    class DataGenerator(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__(**workers)
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
    "only decoding, 2 threads, the floor": by_two_threads(decode_alone()),
    "runner sequence, 2 threads": runner_loader("sequence", **{"loader.workers": 2}),
    "runner sequence, antialias=false": runner_loader("sequence", **{"loader.workers": 2, "data.antialias": "false"}),
    "runner sequence, 2 processes": runner_loader(
        "sequence", **{"loader.workers": 2, "loader.use_multiprocessing": "true"}
    ),
    "runner generator": runner_loader("generator"),
    "runner in_memory, later epochs": runner_loader("in_memory", **{"loader.workers": 2}),
    "tf.data by hand, not antialiased": tf_data,
    "Keras image_dataset_from_directory, not antialiased": keras_image_dataset,
    "Keras Sequence of the tutorials, 2 threads": partial(keras_sequence, workers=2),
    "Keras Sequence of the tutorials, 1 worker": partial(keras_sequence, workers=1),
    "Keras Sequence of the tutorials, 2 processes": partial(keras_sequence, workers=2, use_multiprocessing=True),
    "Keras flow_from_directory, 2 threads": keras_flow,
    "only Pillow, 2 threads": by_two_threads(pillow),
    "runner sequence, decode=exact": runner_loader("sequence", **{"loader.workers": 2, "data.decode": "exact"}),
}

LARGE: Contenders = {
    "only decoding to a quarter, 2 threads, the floor": by_two_threads(decode_alone(4)),
    "runner sequence, 2 threads": runner_loader("sequence", **{"loader.workers": 2}),
    "tf.data by hand, not antialiased": tf_data,
    "Keras image_dataset_from_directory, not antialiased": keras_image_dataset,
    "Keras Sequence of the tutorials, 2 threads": partial(keras_sequence, workers=2),
}
