"""`verify`: what came of a rerun, compared with the run it repeats."""

from __future__ import annotations

from collections.abc import Sequence

from runner.data.dataset import Dataset
from runner.errors import ConfigurationError, VerifyError
from runner.modes.terminal import Terminal
from runner.records.compare import Comparison, Pair, first_difference, likely_causes
from runner.records.earlier import run_to_compare
from runner.records.record import RunRecord
from runner.records.run_folder import RunFolder
from runner.settings import Settings

MOST_CAUSES = 5
"""Causes told on the terminal; run.json has all."""


def repeated(config: Settings, resumed: RunFolder | None) -> RunFolder | None:
    """The run to compare with what comes of this one, which may be one that is gone on with; None without `verify`.

    Raises `ConfigurationError` where it has left nothing to compare with.
    """
    folder = config.rerun if resumed is None else resumed.repeats
    if folder is None or not config.verify:
        return None
    try:
        return run_to_compare(folder)
    except ConfigurationError as error:
        if resumed is None:
            raise
        raise ConfigurationError([*error.problems, "verify=false goes on without comparing the runs"]) from error


def verify(
    config: Settings, first: RunFolder, record: RunRecord, dataset: Dataset, terminal: Terminal
) -> VerifyError | None:
    """Compare a run that is about to close its record with `first`, and tell and record what was found.

    Returns the error to end with if something differs.
    """
    ids = {split: source.ids for split, source in dataset.splits.items()}
    pair = Pair(first, RunFolder(record.path), config.document(), ids)
    comparisons, causes = list(pair.comparisons()), list(likely_causes(pair))
    first_one = first_difference(comparisons)
    compared = [comparison.compared for comparison in comparisons if comparison.compared]
    unknown = [comparison.unknown for comparison in comparisons if comparison.unknown]
    record.update(
        verified={
            "identical": first_one is None,
            "compared": compared,
            "not_compared": unknown,
            "first_difference": first_one,
            "differences": {one.what: one.num_differences for one in comparisons if one.num_differences},
            "changed": causes,
        }
    )
    if first_one is not None:
        return VerifyError("\n".join(_told(first, comparisons, first_one, causes)))
    terminal.account([("verified", f"identical to {first.path}: {', '.join(compared)}")])
    terminal.account([("", f"not compared: {text}") for text in unknown])
    terminal.account([("", f"the same although {text}") for text in _few(causes)])
    return None


def _told(first: RunFolder, comparisons: Sequence[Comparison], first_one: str, causes: Sequence[str]) -> list[str]:
    """The first difference, how many others there are where, and what may have caused them."""
    counts = {one.what: one.num_differences for one in comparisons if one.num_differences}
    leading = next(iter(counts))
    counts[leading] -= 1
    others = ", ".join(f"{what} {count:,}" for what, count in counts.items() if count)
    same = [one.compared for one in comparisons if one.compared and not one.differences]
    return [
        f"the run is not the same as {first.path}: {first_one}",
        *([f"{sum(counts.values()):,} more differences: {others}"] if others else []),
        *([f"the same: {', '.join(same)}"] if same else []),
        *(f"not compared: {one.unknown}" for one in comparisons if one.unknown),
        *(f"likely cause: {text}" for text in _few(causes)),
    ]


def _few(causes: Sequence[str]) -> list[str]:
    more = len(causes) - MOST_CAUSES
    return [*causes[:MOST_CAUSES], *([f"{more} more changes, all named in run.json"] if more > 0 else [])]
