"""Files that are there whole or not at all, whatever ends the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.errors import RunnerError


@contextmanager
def replacing(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`; what the block writes there is renamed to `path` at its end.

    The temporary name keeps all suffixes, since writers such as Keras go by them. A block that
    raises leaves `path` as it was and nothing beside it; after a kill, the temporary file remains
    and the next writer replaces it. Raises `RunnerError` where `path` exists (unless `overwrite`)
    or cannot be written.
    """
    if path.exists() and not overwrite:
        raise RunnerError(f"{path} exists already and is not overwritten; move it away")
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        temporary.unlink(missing_ok=True)
        yield temporary
        _flush_file(temporary)
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise RunnerError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes | str, *, overwrite: bool = False) -> None:
    """Write `content`, text as UTF-8, so that a reader finds the old file or the new one, whole.

    Text that UTF-8 cannot hold (undecodable bytes of a file name) is written as Python escapes it.
    Raises `RunnerError` as `replacing` does.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)


def _flush_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    # Makes the renaming itself survive a power cut; not every system can open a folder.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
