"""Samples that change their split, or their fold, when one file is added: scikit-learn's splitters and ours.

3,000 samples in 20 classes and 200 groups; one file is added to a random class and group, at a random place in the
sorted list. Means of several added files. The labels of multi-label samples, 20 as well, have the probabilities 0.5,
0.25, 0.17, ….

python benchmarks/splits.py [--rounds 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold, train_test_split

from runner.data.groups import Groups
from runner.data.labels import Head, Labels
from runner.data.shares import Fold, Shares
from runner.data.splits import divide
from runner.data.strata import Strata, strata_of

CLASSES, GROUPS, SAMPLES, FOLDS, SHARE = 20, 200, 3000, 5, 0.2
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Sorted ids, with the class and the group of each."""

    ids: list[str]
    classes: Codes
    groups: Codes

    @classmethod
    def drawn(cls) -> Samples:
        """Samples whose groups are mostly of one class."""
        random = np.random.default_rng(0)
        groups = np.sort(random.choice(GROUPS, SAMPLES, p=(sizes := random.integers(1, 30, GROUPS)) / sizes.sum()))
        classes = np.where(random.random(SAMPLES) < 0.1, random.integers(0, CLASSES, SAMPLES), groups % CLASSES)
        return cls([f"g{group:03}/{number:05}" for number, group in enumerate(groups.tolist())], classes, groups)

    def with_one_more(self, random: np.random.Generator) -> Samples:
        """These samples and one more, somewhere among them."""
        place, twin = int(random.integers(SAMPLES)), int(random.integers(SAMPLES))
        ids = [*self.ids[:place], f"new/{twin:05}", *self.ids[place:]]
        columns = (np.insert(column, place, column[twin]) for column in (self.classes, self.groups))
        return Samples(ids, *columns)


def several_labels(samples: Samples) -> NDArray[np.int8]:
    """The labels of multi-label samples, shape `(samples, classes)`; those of a sample follow from its id."""
    chances = 0.5 / np.arange(1, CLASSES + 1)
    seeds = (int.from_bytes(name.encode(), "little") for name in samples.ids)
    return np.array([np.random.default_rng(seed).random(CLASSES) < chances for seed in seeds], np.int8)


Rule = Callable[[Samples], Codes]
"""The split or fold of each sample."""


def ours(*, folds: bool, stratify: bool, grouped: bool) -> Rule:
    """The rule of keras-runner."""

    def assign(samples: Samples) -> Codes:
        codes = np.zeros(len(samples.ids), np.int64)
        strata = Strata(samples.classes, tuple(f"c{code}" for code in range(CLASSES))) if stratify else None
        groups = Groups.of([f"g{group}" for group in samples.groups.tolist()]) if grouped else None
        for fold in range(FOLDS if folds else 1):
            shares = Shares(0, 0, Fold(fold, FOLDS)) if folds else Shares(SHARE)
            codes[divide(samples.ids, shares, 0, strata, groups).parts["validation"]] = fold + 1
        return codes

    return assign


def rarest_label(samples: Samples) -> Codes:
    """The rule of keras-runner for several labels."""
    head = Head("", "multi_label", tuple(f"c{code:02}" for code in range(CLASSES)))
    strata = strata_of(Labels((head,), (several_labels(samples),)))
    codes = np.zeros(len(samples.ids), np.int64)
    codes[divide(samples.ids, Shares(SHARE), 0, strata).parts["validation"]] = 1
    return codes


def iterative(samples: Samples) -> Codes:
    """Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011): the rarest label first, where it lacks most."""
    labels = several_labels(samples).astype(bool)
    codes, shares = np.full(len(labels), -1), np.array([1 - SHARE, SHARE])
    wanted, room = shares[:, None] * labels.sum(0), shares * len(labels)
    while (left := labels[codes < 0].sum(0)).any():
        label = int(np.argmin(np.where(left, left, len(labels) + 1)))
        for index in np.flatnonzero((codes < 0) & labels[:, label]).tolist():
            codes[index] = max((0, 1), key=lambda split: (wanted[split, label], room[split]))
            wanted[codes[index], labels[index]] -= 1
            room[codes[index]] -= 1
    for index in np.flatnonzero(codes < 0).tolist():
        codes[index] = int(np.argmax(room))
        room[codes[index]] -= 1
    return codes


def splitter(make: Callable[[], StratifiedKFold | GroupKFold | StratifiedGroupKFold]) -> Rule:
    """The folds of a splitter of scikit-learn."""

    def assign(samples: Samples) -> Codes:
        codes = np.zeros(len(samples.ids), np.int64)
        kind = make()
        groups = None if isinstance(kind, StratifiedKFold) else samples.groups
        for fold, (_, test) in enumerate(kind.split(samples.ids, samples.classes, groups)):
            codes[test] = fold
        return codes

    return assign


def stratified_cut(samples: Samples) -> Codes:
    """`train_test_split` with `stratify`."""
    _, held_out = train_test_split(
        np.arange(len(samples.ids)), test_size=SHARE, stratify=samples.classes, random_state=0
    )
    return np.isin(np.arange(len(samples.ids)), held_out).astype(np.int64)


def shuffled_tail(samples: Samples) -> Codes:
    """What `image_dataset_from_directory` does with `validation_split` and `seed`: shuffle the list, take its end."""
    order = np.arange(len(samples.ids))
    np.random.RandomState(0).shuffle(order)
    codes = np.zeros(len(order), np.int64)
    codes[order[len(order) - int(SHARE * len(order)) :]] = 1
    return codes


def sorted_head(samples: Samples) -> Codes:
    """What `ImageDataGenerator` does with `validation_split`: the first files of each class, by name."""
    codes = np.zeros(len(samples.ids), np.int64)
    for code in range(CLASSES):
        members = np.flatnonzero(samples.classes == code)
        codes[members[: int(SHARE * len(members))]] = 1
    return codes


def moved(rule: Rule, before: Samples, others: Sequence[Samples]) -> float:
    """The mean share of the samples before that are elsewhere afterwards."""
    known = dict(zip(before.ids, rule(before).tolist(), strict=True))
    shares = []
    for after in others:
        now = dict(zip(after.ids, rule(after).tolist(), strict=True))
        shares.append(np.mean([now[name] != code for name, code in known.items()]))
    return float(np.mean(shares))


def main() -> None:
    """Print a line for each rule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    random, before = np.random.default_rng(1), Samples.drawn()
    others = [before.with_one_more(random) for _ in range(parser.parse_args().rounds)]
    rules: dict[str, Rule] = {
        "split: data.stratify=false": ours(folds=False, stratify=False, grouped=False),
        "split: data.stratify=true": ours(folds=False, stratify=True, grouped=False),
        "split: Keras, ImageDataGenerator": sorted_head,
        "split: Keras, image_dataset_from_directory": shuffled_tail,
        "split: scikit-learn, train_test_split(stratify)": stratified_cut,
        "split of several labels: data.stratify=true": rarest_label,
        "split of several labels: iterative stratification": iterative,
        "5 folds: data.stratify=true": ours(folds=True, stratify=True, grouped=False),
        "5 folds: scikit-learn, StratifiedKFold": splitter(lambda: StratifiedKFold(FOLDS)),
        "5 folds: scikit-learn, StratifiedKFold(shuffle)": splitter(
            lambda: StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        ),
        "5 folds of groups: data.stratify=true": ours(folds=True, stratify=True, grouped=True),
        "5 folds of groups: data.stratify=false": ours(folds=True, stratify=False, grouped=True),
        "5 folds of groups: scikit-learn, GroupKFold": splitter(lambda: GroupKFold(FOLDS)),
        "5 folds of groups: scikit-learn, StratifiedGroupKFold": splitter(lambda: StratifiedGroupKFold(FOLDS)),
    }
    for name, rule in rules.items():
        share = moved(rule, before, others)
        print(f"{name:55} {SAMPLES * share:8.2f} samples {share:8.3%}")


if __name__ == "__main__":
    main()
