"""`loader.balance` and `loader.draw_by`: how often training draws each sample, and what they cannot go with.

Only training draws so: validation, test and predictions have each sample once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runner.batch import Indices
from runner.data.dataframe import DataFrame
from runner.data.dataset import Data
from runner.data.labels import Head
from runner.data.mix import Mix
from runner.data.mixed import PartCodes, part_codes
from runner.data.source import Source
from runner.errors import DataError
from runner.loaders.settings import LoaderKeys
from runner.messages import first_few, plural, yaml_text

if TYPE_CHECKING:
    from runner.loaders.members import Members
    from runner.loaders.plan import Drawing

CODED = ("categorical", "sparse", "binary")
"""Class modes with one class per sample."""

BYTES_PER_SAMPLE = {"": 0, "balance": 4, "draw_by": 12}
"""Bytes of the tables of each key."""


def refuse_share(data: Data) -> None:
    """Raise `ValueError` for the share of data that is no part of a mix."""
    if data.share is not None:
        raise ValueError(
            f"data.share must be null, got {data.share}: only parts of data=mix have shares; set data.parts.NAME.share"
        )


def refuse_unfit_draws(loader: LoaderKeys, data: Data, class_weight: object) -> None:
    """Raise `ValueError` if `data` cannot be drawn as `loader` says, or what it draws would be weighed once more."""
    if isinstance(data, Mix) and data.slots:
        _refuse_with_shares(loader, class_weight)
    if loader.balance is not None:
        for part in data.parts.values() if isinstance(data, Mix) else (data,):
            _refuse_no_class(part)
    if loader.draw_by is not None:
        if not isinstance(data, DataFrame):
            kind = data.document()["kind"]
            raise ValueError(
                f"loader.draw_by must be a column of data.manifest, got {loader.draw_by!r} with data={kind}, "
                "which has no columns; list the samples in a table (data=dataframe), or leave it out"
            )
        if loader.draw_by == data.weight_column:
            raise ValueError(
                f"loader.draw_by must be another column than data.weight_column, got {loader.draw_by!r} for both: "
                "a sample would be drawn more often and weigh more as well; leave one of them out"
            )
    if class_weight == "balanced" and (key := drawing_key(loader)):
        raise ValueError(
            f"train.class_weight must not be balanced with loader.{key}: it counts the classes as they are in the "
            "data, not as they are drawn; leave one of them out"
        )


def _refuse_no_class(data: Data) -> None:
    modes = getattr(data, "class_mode", None)
    several = [*modes.values()] if isinstance(modes, dict) else [head.mode for head in data.named_outputs()]
    if len([mode for mode in several or [modes] if mode in (*CODED, "packed")]) != 1:
        weigh = ", or give a column of numbers to draw by, loader.draw_by" if isinstance(data, DataFrame) else ""
        raise ValueError(f"{_needs_a_class()}, got data.class_mode={yaml_text(modes)}; leave loader.balance out{weigh}")


def _refuse_with_shares(loader: LoaderKeys, class_weight: object) -> None:
    """Raise `ValueError` for keys that decide the order of training as well, or count what is not drawn."""
    refused = {
        f"loader.{drawing_key(loader)}": bool(drawing_key(loader)),
        "loader.shuffle=false": not loader.shuffle,
        "loader.order=blocks": loader.order == "blocks",
        "train.class_weight=balanced": class_weight == "balanced",
    }
    for key in (key for key, is_set in refused.items() if is_set):
        raise ValueError(
            f"{key} must not go with shares of data.parts, in which training draws its samples; leave it out, or the "
            "shares"
        )


def drawing_key(loader: LoaderKeys) -> str:
    """The key that says how often samples are drawn; empty if each is drawn once."""
    return "balance" if loader.balance is not None else "draw_by" if loader.draw_by is not None else ""


def table_bytes(loader: LoaderKeys, num_samples: int) -> int:
    """Bytes of memory for the table of a drawing."""
    return BYTES_PER_SAMPLE[drawing_key(loader)] * num_samples


def class_members(source: Source) -> Members:
    """The samples of each class, of the only target that has classes. Raises `DataError` unless each sample has one."""
    from runner.loaders.members import Members

    labels = source.labels
    coded = [number for number, head in enumerate(labels.heads) if head.mode in CODED]
    if len(coded) != 1:
        got = ", ".join(map(_head_text, labels.heads)) or "no target"
        raise DataError(f"{_needs_a_class()}, got {got}; leave loader.balance out")
    codes, head = labels.columns[coded[0]], labels.heads[coded[0]]
    if not len(codes) or codes.min() < 0:
        raise DataError(f"{_needs_a_class()}, got samples without one; leave loader.balance out")
    return Members.of_codes(codes, len(head.class_names))


def drawing_of(loader: LoaderKeys, data: Data, source: Source, seed: int) -> Drawing | None:
    """How training draws the samples of `source`; None if it draws each once.

    Raises `DataError` if the samples have no classes, or no numbers to draw by.
    """
    if loader.balance is not None:
        from runner.loaders.rounds import Rounds

        return Rounds.balanced(class_members(source))
    if loader.draw_by is not None:
        from runner.loaders.weighted_draw import WeightedDraw

        return WeightedDraw.of(data.draw_weights(loader.draw_by, source.ids), seed)
    if (parts := drawn_parts(loader, source)) is not None:
        from runner.loaders.rounds import Rounds

        return Rounds(part_members(parts), parts.slots)
    return None


def members_of(loader: LoaderKeys, source: Source) -> Members | None:
    """The samples that may take each other's place where the shares of classes or parts are set; None: all."""
    if loader.balance is not None:
        return class_members(source)
    parts = drawn_parts(loader, source)
    return None if parts is None else part_members(parts)


def drawn_parts(loader: LoaderKeys, source: Source) -> PartCodes | None:
    """The parts that training draws in shares; None if there are none, or where another key decides the order.

    A mix with shares is refused with such a key; of a pack of one, the shares then do not count.
    """
    parts = part_codes(source)
    return None if parts is None or not parts.slots or _order_key(loader) else parts


def _order_key(loader: LoaderKeys) -> str:
    """The setting that decides the order of training without the shares of parts; empty if there is none."""
    if key := drawing_key(loader):
        return f"loader.{key}"
    return "loader.shuffle=false" if not loader.shuffle else "loader.order=blocks" if loader.order == "blocks" else ""


def part_members(parts: PartCodes) -> Members:
    """The samples of each part. Raises `DataError` if a part has none."""
    from runner.loaders.members import Members

    members = Members.of_codes(parts.codes, len(parts.names))
    if empty := [name for name, size in zip(parts.names, members.sizes.tolist(), strict=True) if not size]:
        raise DataError(
            f"data.parts with shares must have training samples each, got none of {first_few(empty)}; raise "
            "data.limit, or leave the shares out"
        )
    return members


def draw_notes(loader: LoaderKeys, source: Source) -> Iterator[str]:
    """How training draws the samples of `source`, and what that means for predictions; nothing if each comes once.

    Raises `DataError` as `drawing_of` does for samples without classes.
    """
    if loader.balance is not None:
        sizes = class_members(source).sizes
        yield _rounds_text(sizes[sizes > 0])
    if loader.draw_by is not None:
        yield f"training draws {plural(len(source), 'sample')} per epoch, each as often as its {loader.draw_by} says"
    if (parts := part_codes(source)) is not None and parts.slots:
        if key := _order_key(loader):
            yield f"{key} draws without the shares of the packed parts {first_few(parts.names)}"
        else:
            yield _shares_text(parts)
    if drawing_key(loader):
        yield (
            "the model learns this mix: predicted probabilities are not those of the natural mix of the data, which "
            "validation and test have"
        )


def _shares_text(parts: PartCodes) -> str:
    """The share of each part, and how many epochs one pass over it takes."""
    from runner.loaders.rounds import Rounds

    rounds, texts = Rounds(part_members(parts), parts.slots), []
    for number, (name, size) in enumerate(zip(parts.names, rounds.sizes, strict=True)):
        share = parts.slots[number] / sum(parts.slots)
        texts.append(
            f"{100 * share:.3g}% from {name}, of which a pass takes {size / rounds.draws_of(number):.3g} epochs"
        )
    return f"training draws {plural(rounds.num_draws, 'sample')} per epoch: {'; '.join(texts)}"


def _rounds_text(counts: Indices) -> str:
    each, classes = -(-int(counts.sum()) // len(counts)), plural(len(counts), "class", "classes")
    large, small = each / int(counts.max()), each / int(counts.min())
    return (
        f"balanced: an epoch draws each of {classes} {plural(each, 'time')}, {each * len(counts):,} samples; on "
        f"average {large:.2g} draws of each sample of the largest class, and {small:.2g} of the smallest"
    )


def _needs_a_class() -> str:
    return f"loader.balance needs one target with one class per sample ({', '.join(CODED)})"


def _head_text(head: Head) -> str:
    return f"{head.name}: {head.mode}" if head.name else head.mode
