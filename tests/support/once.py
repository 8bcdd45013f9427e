"""What tests do once in a process and remember, as hundreds of runs do the same."""

import contextlib
from functools import cache

import pytest


@contextlib.contextmanager
def done_once():
    """In the block, read, list and compose the runner's own files once, and list installed packages once.

    Hydra takes 0.1 to 0.3 s for a choice; the files of all packages take 0.1 s to read, for every record.
    """
    from runner.config import files
    from runner.records import record

    ours = str(files.our_conf())
    compose, compositions = files.Library._compose, {}
    read, known = files.read_file, {}
    list_names, listed = files.Library._list, {}

    def remembered(library, overrides):
        if files.user_folders():
            return compose(library, overrides)
        key = (files.our_conf(), *overrides)
        if key not in compositions:
            compositions[key] = compose(library, overrides)
        return compositions[key]

    def read_once(source, path):
        if source.path != ours:
            return read(source, path)
        if path not in known:
            known[path] = read(source, path)
        return known[path]

    def listed_once(library, group, kind):
        sources = [source.path for source in library.loader.get_sources()]
        if not {*sources} <= {ours, "hydra.conf", ""}:  # else files that a test writes are among them
            return list_names(library, group, kind)
        if (group, kind) not in listed:
            listed[group, kind] = list_names(library, group, kind)
        return listed[group, kind]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "read_file", read_once)
        patched.setattr(files.Library, "_list", listed_once)
        patched.setattr(files.Library, "_compose", remembered)
        for name in ("packages", "versions"):
            patched.setattr(record, name, cache(getattr(record, name)))
        yield
