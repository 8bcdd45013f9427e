"""`verify`: compare a rerun with the run that it repeats."""

from __future__ import annotations

from collections.abc import Sequence

from runner.data.dataset import Dataset
from runner.data.pack import Pack
from runner.data.pack_document import load_pack
from runner.errors import ConfigurationError, VerifyError
from runner.messages import plural
from runner.modes.terminal import Terminal
from runner.records.compare import Pair, RunComparison, first_difference, likely_causes, other_reading
from runner.records.earlier import run_to_compare
from runner.records.record import RunRecord
from runner.records.run_folder import RunFolder
from runner.settings import Settings

MOST_CAUSES = 5
"""The most causes that the terminal shows; run.json has all."""


def repeated(config: Settings, resumed: RunFolder | None) -> RunFolder | None:
    """The run that this run, new or resumed, is compared with; None without `verify`.

    Raises `ConfigurationError` if that run has nothing to compare.
    """
    folder = config.rerun if resumed is None else resumed.repeats
    if folder is None or not config.verify:
        return None
    try:
        first = run_to_compare(folder)
        _refuse_other_bytes(config, first)
        return first
    except ConfigurationError as error:
        if resumed is None:
            raise
        raise ConfigurationError([*error.problems, "verify=false resumes without a comparison"]) from error


def _refuse_other_bytes(config: Settings, first: RunFolder) -> None:
    """Raise `ConfigurationError` if the samples are packed in other bytes than those that the first run read."""
    if not isinstance(config.data, Pack) or first.config.get("data", {}).get("kind") == config.data.kind:
        return
    root, encode = config.data.root, load_pack(config.data.root).encode
    if encode != "keep":
        raise ConfigurationError(
            f"verify must compare a run on the same bytes, got data.root={root}, packed with pack.encode={encode}, "
            f"which changes those that {first.path} read; pack with pack.encode=keep, or leave verify out"
        )


def verify(
    config: Settings, first: RunFolder, record: RunRecord, dataset: Dataset, terminal: Terminal
) -> VerifyError | None:
    """Compare a run, whose record is still open, with `first`; report and record the result.

    Returns the error to raise once the record is closed; None if nothing differs.
    """
    ids = {split: source.ids for split, source in dataset.splits.items()}
    pair = Pair(first.completed(Settings.completed), RunFolder(record.path), config.document(), ids)
    comparisons, causes, reading = list(pair.comparisons()), list(likely_causes(pair)), list(other_reading(pair))
    difference = first_difference(comparisons)
    compared = [comparison.compared for comparison in comparisons if comparison.compared]
    unknown = [comparison.unknown for comparison in comparisons if comparison.unknown]
    record.update(
        verified={
            "identical": difference is None,
            "compared": compared,
            "not_compared": unknown,
            "first_difference": difference,
            "differences": {one.name: one.num_differences for one in comparisons if one.num_differences},
            "changed": [*causes, *reading],
        }
    )
    if difference is not None:
        return VerifyError("\n".join(_report(first, comparisons, difference, causes or reading)))
    terminal.summary([("verify", f"identical to {first.path}: {', '.join(compared)}")])
    terminal.summary([("", f"not compared: {text}") for text in unknown])
    terminal.summary([("", f"identical although {text}") for text in _few([*causes, *reading])])
    return None


def _report(
    first: RunFolder, comparisons: Sequence[RunComparison], difference: str, causes: Sequence[str]
) -> list[str]:
    """The lines of the error: the first difference, the number of others by place, and likely causes."""
    counts = {one.name: one.num_differences for one in comparisons if one.num_differences}
    leading = next(iter(counts))
    counts[leading] -= 1
    others = ", ".join(f"{what} {count:,}" for what, count in counts.items() if count)
    identical = [one.compared for one in comparisons if one.compared and not one.differences]
    return [
        f"the run differs from {first.path}: {difference}",
        *([f"{plural(sum(counts.values()), 'more difference')}: {others}"] if others else []),
        *([f"identical: {', '.join(identical)}"] if identical else []),
        *(f"not compared: {one.unknown}" for one in comparisons if one.unknown),
        *(f"likely cause: {text}" for text in _few(causes)),
    ]


def _few(causes: Sequence[str]) -> list[str]:
    more = len(causes) - MOST_CAUSES
    return [*causes[:MOST_CAUSES], *([f"{plural(more, 'more change')}; run.json lists all"] if more > 0 else [])]
