"""Weights by name: which file Keras wants for a network of `keras.applications`, and that file, downloaded if needed.

URL, file and folder come from the call that the network itself makes to Keras's `get_file`; no name is known here.
"""

from __future__ import annotations

import os
import socket
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import keras
from keras.src.utils import file_utils

from runner.errors import ConfigurationError
from runner.models.base import WeightsFile
from runner.models.layers import quick_compilation

PATIENCE_SECONDS = 30.0
"""How long a download may stand still."""


Build = Callable[[], keras.Model]
"""Builds a network with `weights="imagenet"`."""


SIDE = 224
"""Height and width of an image that every network takes, and that files for images of one size have in their names."""

KNOWN: dict[tuple[str, tuple[int, ...] | None], WeightsFile] = {}
"""Files that were found, by network and shape of an image, None for any: a network is built only once for them."""


class _FileIsThere(Exception):  # noqa: N818 - it ends the building of a network that need not be finished
    """The file is on this machine."""

    def __init__(self, weights: WeightsFile) -> None:
        self.weights = weights


class _OtherHash(BaseException):
    """The file has another hash than Keras expects; no Exception, for which Keras would remove the file."""

    def __init__(self, weights: WeightsFile) -> None:
        self.weights = weights


class _OfOneSize(Exception):  # noqa: N818 - it ends the building of a network that need not be finished
    """The file seems to be for images of one size."""


def fetch(name: str, shape: tuple[int, ...]) -> WeightsFile:
    """The file of the network `name` for images of `shape`; it is downloaded if it is not there.

    Raises `ConfigurationError`, with URL and file, if it cannot be, or if a file is there with another hash; and as
    Keras does, if the network cannot take such images.
    """
    found = (KNOWN.get((name, key)) for key in (None, shape))
    weights = next((each for each in found if each is not None and each.file.exists()), None)
    if weights is None:
        weights = KNOWN[name, shape] = _find(name, shape, _fetched)
    return weights


def fetch_for_all_sizes(name: str) -> WeightsFile | None:
    """As `fetch`, where Keras has one file for images of all sizes, as far as its name says; else None."""

    def fetched(get_file: Callable[..., str], arguments: tuple[Any, ...], *others: Any) -> WeightsFile:
        if str(SIDE) in str(arguments[0]):
            raise _OfOneSize
        return _fetched(get_file, arguments, *others)

    try:
        weights = KNOWN[name, None] = _find(name, (SIDE, SIDE, 3), fetched)
    except _OfOneSize:
        return None
    return weights


def _find(name: str, shape: tuple[int, ...], fetched: Callable[..., WeightsFile]) -> WeightsFile:
    """What `fetched` answers to Keras's call for a file; the network is built as far as that call."""

    def find(get_file: Callable[..., str], *arguments: Any, **options: Any) -> NoReturn:
        raise _FileIsThere(fetched(get_file, arguments, options, name))

    try:
        with quick_compilation(), _asked(find):
            getattr(keras.applications, name)(include_top=False, weights="imagenet", input_shape=shape)
    except _FileIsThere as found:
        return found.weights
    raise ConfigurationError(f"model.weights=imagenet: Keras has no such weights of {name}; give model.weights=FILE")


def with_weights(build: Build, weights: WeightsFile) -> keras.Model:
    """The network that `build` makes with named weights, those of `weights`.

    Raises `ConfigurationError` if the file holds other weights.
    """
    try:
        with _asked(lambda *_, **__: str(weights.file)):
            return build()
    except (OSError, KeyError, ValueError) as error:
        raise ConfigurationError(
            f"model.weights=imagenet: {weights.file} does not hold the weights of {weights.url} ({error}); remove the "
            "file, and it is downloaded again"
        ) from error


def without_weights(build: Build) -> keras.Model:
    """The network that `build` makes with named weights, whose layers may differ from those without; none is loaded."""
    load = keras.Model.load_weights
    keras.Model.load_weights = lambda *_, **__: None
    try:
        with _asked(lambda *_, **__: ""):
            return build()
    finally:
        keras.Model.load_weights = load


@contextmanager
def _asked(answer: Callable[..., Any]) -> Iterator[None]:
    """Let `answer` take the calls to Keras's `get_file` in the block; it gets that function, then the arguments."""
    get_file = file_utils.get_file
    file_utils.get_file = lambda *arguments, **options: answer(get_file, *arguments, **options)
    try:
        with warnings.catch_warnings():
            # Of images that are not 224×224: the weights of that size fit all sizes.
            warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square")
            yield
    finally:
        file_utils.get_file = get_file


def _fetched(
    get_file: Callable[..., str], arguments: tuple[Any, ...], options: dict[str, Any], name: str
) -> WeightsFile:
    """The file of one call to `get_file`."""
    tried: list[WeightsFile] = []
    begun = file_utils.urlretrieve
    file_utils.urlretrieve = lambda url, file, hook: _retrieve(url, Path(file), hook, tried)
    try:
        path = Path(get_file(*arguments, **options))
    except _OtherHash as other:
        raise ConfigurationError(
            f"model.weights=imagenet: {other.weights.file} must have the hash that Keras expects of "
            f"{other.weights.url}, and has another: it is incomplete, or of another version; remove it, and it is "
            "downloaded again, or give model.weights=FILE"
        ) from None
    except Exception as error:  # Keras raises Exception itself
        if not tried:
            raise ConfigurationError(f"model.weights=imagenet: Keras cannot use its folder: {error}") from error
        [weights] = tried
        with suppress(OSError):  # a whole file with another hash, which Keras leaves there
            weights.file.unlink()
        why = str(error).removeprefix(f"URL fetch failure on {weights.url}: ").removeprefix("None -- ")
        raise ConfigurationError(
            f"model.weights=imagenet needs {weights.file.name} for {name}, and {weights.url} cannot be downloaded "
            f"({why}); on a machine with a network, download it, and put it into {weights.file.parent} here, or give "
            "model.weights=FILE"
        ) from error
    finally:
        file_utils.urlretrieve = begun
    origin = options.get("origin") or arguments[1]
    return WeightsFile(path, origin)


def _retrieve(url: str, file: Path, hook: Callable[[int, int, int], None], tried: list[WeightsFile]) -> None:
    """Download a file as Keras does, to a temporary name: a process that is killed leaves no part of a file."""
    weights = WeightsFile(file, url)
    if file.exists():
        raise _OtherHash(weights)
    tried.append(weights)
    partial, before = file.with_name(f".{file.name}.{os.getpid()}"), socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        urllib.request.urlretrieve(url, partial, hook)
        partial.replace(file)
    finally:
        socket.setdefaulttimeout(before)
        partial.unlink(missing_ok=True)
