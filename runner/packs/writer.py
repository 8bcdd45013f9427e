"""The writer of packs: reads samples, fills shards, and continues after the last whole one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from runner.batch import Indices
from runner.data.labels import Head, Labels
from runner.data.source import Source
from runner.errors import BadSampleError
from runner.loaders.storage import refuse_lost_storage
from runner.loaders.workers import in_threads
from runner.packs.buckets import EncodedSample
from runner.packs.encoders import Encoder
from runner.packs.order import FIRST, PhysicalOrder
from runner.packs.plan import PackPlan
from runner.packs.shards import FinishedShard, ShardWriter, description, finished_shards, sample_bytes

SAMPLES_AT_ONCE = 8
"""Samples that a thread encodes before it hands them over."""

OnBadSample = Callable[[str, str, str, str], None]
"""Takes split, id, name and reason of a sample that cannot be read; it may raise."""


@dataclass(frozen=True)
class PackWriter:
    """Writes the shards of a plan. `on_samples` gets the number of samples, and bytes, handled since the last call."""

    plan: PackPlan
    workers: int
    timeout_seconds: float
    on_bad: OnBadSample
    on_samples: Callable[[int, int], None] = field(default=lambda samples, num_bytes: None)

    def write(self, split: str) -> list[FinishedShard]:
        """Write the shards of a split that are not there, and return all."""
        source = self.plan.dataset.splits[split]
        order = self.plan.order(split, partial(self._read, split, source))
        shards = list(finished_shards(self.plan.folder, split))
        done = sum(len(shard.rows) for shard in shards)
        self.on_samples(order.handled(len(source), done), 0)
        last = int(shards[-1].rows[-1]) if shards else FIRST
        samples = order.samples(last, self._counted)
        shards += self._fill(split, source, samples, number=len(shards), first=done, order=order)
        order.close()
        return shards

    def _counted(self, sample: EncodedSample) -> None:
        self.on_samples(1, sum(len(one.data) for one in sample.contents))

    def _fill(
        self,
        split: str,
        source: Source,
        samples: Iterator[EncodedSample],
        order: PhysicalOrder,
        *,
        number: int,
        first: int,
    ) -> Iterator[FinishedShard]:
        """Write shards from number `number` on, whose first sample has the position `first`."""
        labels, limit = source.labels, self.plan.settings.shard_bytes
        sample = next(samples, None)
        while sample is not None:
            with ShardWriter(self.plan.folder, split, number, first, self.plan.fields) as shard:
                while sample is not None:
                    text = self._describe(split, source, labels, sample)
                    if len(shard) and shard.num_bytes + sample_bytes(sample.contents, text) > limit:
                        break
                    shard.add(sample.row, sample.contents, text)
                    sample = next(samples, None)
                finished = shard.finish()
            order.finish(int(finished.rows[-1]))
            number, first = number + 1, first + len(finished.rows)
            yield finished

    def _describe(self, split: str, source: Source, labels: Labels, sample: EncodedSample) -> bytes:
        fields = {
            one.name or "sample": content.suffix for one, content in zip(self.plan.fields, sample.contents, strict=True)
        }
        weight = {} if labels.weights is None else {"weight": float(labels.weights[sample.row])}
        return description(
            {
                "id": source.ids[sample.row],
                "split": split,
                "labels": dict(_label_texts(labels, sample.row)),
                **weight,
                "fields": fields,
            }
        )

    def _read(self, split: str, source: Source, first: int) -> Iterator[EncodedSample]:
        """Read and encode the samples from row `first` on, without those that cannot be read."""
        blocks = (
            np.arange(start, min(start + SAMPLES_AT_ONCE, len(source)))
            for start in range(first, len(source), SAMPLES_AT_ONCE)
        )
        encode = partial(_encode_block, self.plan.encoder, source)
        for block in in_threads(encode, blocks, workers=self.workers, timeout_seconds=self.timeout_seconds):
            for row, found in block:
                if isinstance(found, EncodedSample):
                    yield found
                else:
                    refuse_lost_storage(source, found)
                    self.on_bad(split, source.ids[row], found.name, found.reason)


def _encode_block(encoder: Encoder, source: Source, rows: Indices) -> list[tuple[int, EncodedSample | BadSampleError]]:
    return [(row, _encoded(encoder, source, row)) for row in rows.tolist()]


def _encoded(encoder: Encoder, source: Source, row: int) -> EncodedSample | BadSampleError:
    try:
        return EncodedSample(row, encoder.encode(source, row))
    except BadSampleError as error:
        return error


def _label_texts(labels: Labels, row: int) -> Iterator[tuple[str, Any]]:
    """The labels of a sample by the name of their target: classes by name, numbers as they are."""
    for head, column in zip(labels.heads, labels.columns, strict=True):
        if len(column):
            yield head.name or "label", _label_text(head, column[row])


def _label_text(head: Head, value: Any) -> Any:
    if not head.class_names:
        return value.tolist()
    if value.ndim:
        return [head.class_names[code] for code in np.flatnonzero(value).tolist()]
    return head.class_names[int(value)]


def left_out(plan: PackPlan, shards: Mapping[str, list[FinishedShard]]) -> dict[str, int]:
    """The number of samples of each split that are not in the pack, because they could not be read."""
    missing = {
        split: len(plan.dataset.splits[split]) - sum(len(shard.rows) for shard in of_split)
        for split, of_split in shards.items()
    }
    return {split: count for split, count in missing.items() if count}
