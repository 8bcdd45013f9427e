"""What would make a model wait less."""

import re

import pytest

from runner import compose
from runner.loaders.advice import ReadingResources, advise
from runner.loaders.kinds import DirectoryFlow, Generator, InMemory, Sequence
from runner.loaders.timing import Wait

DECODING = {"fetch": 1.0, "decode": 6.0, "augment": 0.5, "assemble": 0.1}
READING = {**DECODING, "fetch": 9.0}
CHANGING = {**DECODING, "augment": 9.0}
ASSEMBLING = {**DECODING, "assemble": 9.0}
TRANSFERRING = {**DECODING, "transfer": 9.0}
SMALL, LARGE = 2_000_000, 80_000_000_000


def advice(loader, reasons=DECODING, *, share=0.43, first=0.0, all_bytes=LARGE, epochs=10, has_bytes=True):
    wait = Wait(share * 100, first, 100.0, reasons)
    means = ReadingResources(loader, 12, epochs, all_bytes, 24_000_000_000, has_bytes)
    return advise(wait, means)


@pytest.mark.parametrize(
    ("loader", "given", "expected"),
    [
        (
            Sequence(workers=2),
            {"all_bytes": SMALL},
            "mostly for decoding: raise loader.workers (now 2; this machine has 12 processors), or set "
            "loader.cache=memory (all samples take 2.0 MB)",
        ),
        (
            Sequence(workers=2),
            {},
            "mostly for decoding: raise loader.workers (now 2; this machine has 12 processors), or set "
            "loader.cache=disk, so that later epochs and runs read decoded samples",
        ),
        (
            Sequence(workers=2),
            {"has_bytes": False},
            "mostly for decoding: raise loader.workers (now 2; this machine has 12 processors)",
        ),
        (
            Sequence(workers=2, order="blocks", block_mb=8),
            {"reasons": READING},
            "mostly for reading: raise loader.block_mb (now 8), for fewer seeks, or set loader.cache=disk, so that "
            "later epochs and runs read decoded samples",
        ),
        (
            Sequence(workers=2, order="blocks", cache="disk"),
            {"reasons": READING},
            "mostly for reading: blocks are read one after another already; smaller samples or a faster disk would "
            "help",
        ),
        (
            Sequence(workers=12),
            {"all_bytes": SMALL, "epochs": 1},
            "mostly for decoding: set loader.cache=disk, so that later epochs and runs read decoded samples",
        ),
        (
            Sequence(workers=2, cache="disk"),
            {"reasons": READING},
            "mostly for reading: raise loader.workers (now 2; this machine has 12 processors)",
        ),
        (
            Sequence(workers=12, cache="memory"),
            {},
            "mostly for decoding: all 12 processors read already; smaller samples or a faster machine would help",
        ),
        (
            Sequence(workers=0, cache="memory"),
            {},
            "mostly for decoding: set loader.workers=12, to read while the model trains",
        ),
        (
            Generator(cache="memory"),
            {},
            "mostly for decoding: choose loader=sequence, whose workers read while the model trains",
        ),
        (
            DirectoryFlow(workers=12),
            {"reasons": CHANGING},
            "mostly for transforming samples (data.augment, data.transform): set loader.use_multiprocessing=true, if "
            "data.transform is Python code that holds the GIL",
        ),
        (
            InMemory(workers=4),
            {"reasons": CHANGING},
            "mostly for transforming samples (data.augment, data.transform): raise loader.workers (now 4; this machine "
            "has 12 processors)",
        ),
        (
            InMemory(workers=12),
            {"reasons": ASSEMBLING},
            "mostly for building batches: all 12 processors read already; smaller samples or a faster "
            "machine would help",
        ),
        (
            InMemory(workers=4),
            {"reasons": READING},
            "mostly for transforming samples (data.augment, data.transform): raise loader.workers (now 4; this machine "
            "has 12 processors)",
        ),
        (
            Sequence(workers=2),
            {"reasons": TRANSFERRING},
            "mostly for copying batches to the GPU: smaller samples would help",
        ),
    ],
)
def test_advice_names_reason_and_helpful_keys(loader, given, expected):
    assert advice(loader, **given) == f"the model waited 43% of the time, {expected}"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, "the model never waited: more workers would not help"),
        (0.004, "the model never waited: more workers would not help"),
        (0.006, "the model waited 0.6% of the time: faster reading cannot save more than that"),
        (0.049, "the model waited 5% of the time: faster reading cannot save more than that"),
    ],
)
def test_advice_is_silent_without_a_gain(share, expected):
    assert advice(Sequence(workers=1), share=share) == expected


@pytest.mark.parametrize(
    ("loader", "why"),
    [
        (InMemory(workers=2), ", because loader=in_memory reads all samples before it"),
        (Sequence(use_multiprocessing=True), ", because worker processes start before it"),
        (Sequence(), ""),
    ],
)
def test_slow_first_batch_is_reported_separately(loader, why):
    assert advice(loader, share=0.001, first=12.3) == (
        f"the model waited 12.30 s for the first batch{why}; after that it never waited"
    )
    assert advice(loader, share=0.1, first=12.3).endswith("; after that it waited 10% of the time")
    assert "first batch" not in advice(loader, share=0.1, first=9.9)
    assert "first batch" not in advice(loader, share=0.001, first=5.0)


@pytest.mark.parametrize("reasons", [DECODING, READING, CHANGING, ASSEMBLING, TRANSFERRING])
@pytest.mark.parametrize("kind", ["sequence", "generator", "in_memory", "directory_flow"])
@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
@pytest.mark.parametrize("all_bytes", [SMALL, LARGE])
def test_advice_is_typeable_and_new(kind, reasons, cache, all_bytes):
    typed = [f"loader={kind}", f"loader.cache={cache}", "loader.workers=3"]
    before = compose(typed).loader
    told = advice(before, reasons, all_bytes=all_bytes)
    for word in re.findall(r"(?:set|choose) (loader[.\w]*=\w+)", told):
        after = compose([*typed, word]).loader
        assert after != before, word
