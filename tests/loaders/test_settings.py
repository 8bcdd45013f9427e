"""Keys that every kind accepts, and which of them have an effect."""

import pytest

from runner.loaders.directory_flow import DirectoryFlow
from runner.loaders.generator import Generator
from runner.loaders.in_memory import InMemory
from runner.loaders.sequence import Sequence

CHANGED = {"workers": 2, "use_multiprocessing": True, "max_queue_size": 3, "timeout_seconds": 9.0}
IN_CALLER = {**CHANGED, "workers": 0}


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        (Sequence(**CHANGED), set()),
        (DirectoryFlow(**CHANGED), set()),
        (InMemory(**CHANGED), {"max_queue_size"}),
        (Generator(**CHANGED), {"workers", "use_multiprocessing", "max_queue_size", "timeout_seconds"}),
        (Sequence(**IN_CALLER), {"use_multiprocessing", "max_queue_size", "timeout_seconds"}),
        (InMemory(**IN_CALLER), {"use_multiprocessing", "max_queue_size", "timeout_seconds"}),
    ],
)
def test_keys_without_effect_go_back_to_their_defaults(settings, idle):
    normalised = settings.normalised()
    assert set(settings.idle_keys()) == idle
    assert len(settings.idle_keys()) == len(idle)
    for name in CHANGED:
        default = type(settings).model_fields[name].default
        assert getattr(normalised, name) == (default if name in idle else getattr(settings, name))
    assert normalised.normalised() == normalised
