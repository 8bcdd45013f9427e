"""Parts of training that a configuration names: losses, metrics and callbacks of Keras, or of the user's own.

A name is Keras's, `auc`, or that of the user's code, `my_module.f`. Which names fit which labels is listed here, so
that names are checked before Keras is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from runner.component import Arguments, Component
from runner.messages import did_you_mean, first_few

DOTTED = re.compile(r"[^\W\d]\w*(\.\w+)+")
"""A name of the user's code; not a number such as 0.5."""


class Part(Component):
    """A loss, metric or callback: its name, and its arguments, which may also be given next to the name."""

    name: str
    arguments: Arguments = Field(default={})

    @property
    def is_own(self) -> bool:
        """Whether the name is that of the user's code."""
        return DOTTED.fullmatch(self.name) is not None


def is_dotted(value: Any) -> bool:
    """Whether a value is the name of the user's code, `my_module.f`."""
    return isinstance(value, str) and DOTTED.fullmatch(value) is not None


def _is_part(value: Any) -> bool:
    return isinstance(value, Part) or (isinstance(value, dict) and isinstance(value.get("name"), str))


def spelled_out(value: Any) -> Any:
    """A part as its name and arguments; anything else as it is.

    >>> spelled_out({"name": "huber", "delta": 2.0})
    {'name': 'huber', 'arguments': {'delta': 2.0}}
    """
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict) or not _is_part(value):
        return value
    beside = {key: item for key, item in value.items() if key not in ("name", "arguments")}
    given = value.get("arguments", {})
    return {"name": value["name"], "arguments": {**given, **beside} if isinstance(given, dict) else given}


def own_target(value: Any) -> Any:
    """An optimizer or schedule of the user's as the component `custom`; anything else as it is.

    >>> own_target("my_module.f")
    {'name': 'custom', 'target': 'my_module.f', 'arguments': {}}
    """
    spelled = spelled_out(value)
    if not isinstance(spelled, dict) or not is_dotted(spelled.get("name")):
        return value
    return {"name": "custom", "target": spelled["name"], "arguments": spelled.get("arguments", {})}


def _list(value: Any) -> Any:
    """A list of parts; one part is a list of one."""
    value = [value] if isinstance(value, str) or _is_part(value) else value
    return [spelled_out(one) for one in value] if isinstance(value, list | tuple) else value


def _loss(value: Any) -> Any:
    if isinstance(value, dict) and not _is_part(value):
        return {head: spelled_out(one) for head, one in value.items()}
    return spelled_out(value)


def _metrics(value: Any) -> Any:
    if isinstance(value, dict) and not _is_part(value):
        return {head: _list(one) for head, one in value.items()}
    return _list(value)


def _loss_form(value: Any) -> str:
    return "one" if _is_part(value) else "by_head"


def _metrics_form(value: Any) -> str:
    return "by_head" if isinstance(value, dict) else "one"


NAME_OR_KEYS = {"anyOf": [{"type": "string"}, {"type": "object"}]}
PartList = Annotated[
    tuple[Part, ...],
    Field(strict=False),
    BeforeValidator(_list),
    WithJsonSchema({"type": "array", "items": NAME_OR_KEYS}),
]
"""Parts: each a name, or a mapping with a `name` and arguments."""

AnyLoss = Annotated[
    Annotated[Part, Tag("one")] | Annotated[dict[str, Part], Tag("by_head")],
    Discriminator(_loss_form),
    BeforeValidator(_loss),
    WithJsonSchema(NAME_OR_KEYS),
]
"""One loss, or one for each head by its name."""

AnyMetrics = Annotated[
    Annotated[PartList, Tag("one")] | Annotated[dict[str, PartList], Tag("by_head")],
    Discriminator(_metrics_form),
    BeforeValidator(_metrics),
    WithJsonSchema({"anyOf": [{"type": "array", "items": NAME_OR_KEYS}, {"type": "object"}]}),
]
"""Metrics, or those of each head by its name."""


def parts_of(value: Part | Mapping[str, Any] | tuple[Part, ...] | None, key: str) -> Iterator[tuple[str, Part]]:
    """Every part of a key, with the key that names it: `loss`, or `loss.species` of one head."""
    if isinstance(value, Part):
        yield key, value
    elif isinstance(value, Mapping):
        for head, below in value.items():
            yield from parts_of(below, f"{key}.{head}")
    else:
        yield from ((key, part) for part in value or ())


ERRORS = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
)
DISTANCES = ("huber", "log_cosh", "cosine_similarity", "poisson")
OF_PROBABILITIES = ("mean_squared_error", "mean_absolute_error")
BINARY_LOSSES = ("binary_crossentropy", "binary_focal_crossentropy", *OF_PROBABILITIES)
LOSSES: Mapping[str, tuple[str, ...]] = {
    "categorical": (
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
        "kl_divergence",
        *OF_PROBABILITIES,
    ),
    "sparse": ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"),
    "binary": BINARY_LOSSES,
    "multi_label": BINARY_LOSSES,
    "raw": (*ERRORS, *DISTANCES),
    "input": (*ERRORS, *DISTANCES),
    "mask": ("sparse_categorical_crossentropy", "dice"),
}
"""Keras's losses that mean something for the labels of each class mode; the first one is the default."""

COUNTS = ("true_positives", "true_negatives", "false_positives", "false_negatives")
OF_CLASSES = (
    *("auc", "precision", "recall", "f1_score", "fbeta_score"),
    *("precision_at_recall", "recall_at_precision", "sensitivity_at_specificity", "specificity_at_sensitivity"),
    *COUNTS,
    *OF_PROBABILITIES,
)
"""Metrics of probabilities, whose labels are 0 and 1 for each class."""

OVERLAPS = ("mean_iou", "iou")
BINARY_METRICS = ("binary_accuracy", "binary_crossentropy", *OF_CLASSES, "binary_iou")
ERROR_METRICS = (*ERRORS, "root_mean_squared_error", "log_cosh_error", "cosine_similarity", "poisson")
METRICS: Mapping[str, tuple[str, ...]] = {
    "categorical": (
        *("accuracy", "categorical_accuracy", "top_k_categorical_accuracy", "categorical_crossentropy"),
        *(*OF_CLASSES, *OVERLAPS, "kl_divergence", "cosine_similarity", "categorical_hinge"),
    ),
    "sparse": (
        *("accuracy", "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"),
        *("top_k_categorical_accuracy", "sparse_categorical_crossentropy"),
        *(*OF_CLASSES, *OVERLAPS, "kl_divergence"),
    ),
    "binary": ("accuracy", *BINARY_METRICS),
    "multi_label": BINARY_METRICS,
    "raw": (*ERROR_METRICS, "r2_score", "pearson_correlation", "concordance_correlation"),
    "input": ERROR_METRICS,
    "mask": ("mean_iou", "iou", "accuracy", "sparse_categorical_accuracy"),
}
"""Keras's metrics that mean something for the labels of each class mode."""

OTHER_NAMES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "rmse": "root_mean_squared_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "acc": "accuracy",
    "huberloss": "huber",
    "logcosherror": "log_cosh_error",
    "onehotmeaniou": "mean_iou",
    "onehotiou": "iou",
    "ce": "crossentropy",
}
"""Names that Keras and its users have for some of these, in lower case and without underscores."""

CROSS_ENTROPY = "crossentropy"
"""The loss of classes, whatever form their labels have."""

KNOWN_LOSSES = (CROSS_ENTROPY, *dict.fromkeys(name for names in LOSSES.values() for name in names))
KNOWN_METRICS = tuple(dict.fromkeys(name for names in METRICS.values() for name in names))


CALLBACKS = ("ModelCheckpoint", "RemoteMonitor", "TensorBoard", "TerminateOnNaN")
"""Keras's callbacks that a configuration can name; others take functions."""

REPLACED_CALLBACKS: Mapping[str, str] = {
    "BackupAndRestore": "the runner writes states (train.checkpoint_every), and resume=RUN goes on from them",
    "EarlyStopping": "give train.early_stopping.patience=5, which a resume knows",
    "ReduceLROnPlateau": "give train.reduce_lr_on_plateau.patience=10, which a resume knows",
    "CSVLogger": "metrics.csv of the run holds every epoch",
    "SwapEMAWeights": "train.optimizer.use_ema=true ends with the averages of the weights",
}
"""Keras's callbacks whose work the runner does, and how."""


def replaced_callback(name: str) -> str | None:
    """What to use in place of a callback of Keras's; None if nothing takes its place."""
    found = known_name(name, tuple(REPLACED_CALLBACKS))
    return None if found is None else REPLACED_CALLBACKS[found]


def unknown_callback(part: Part) -> str | None:
    """The problem with the name of a callback; None if it is one of Keras's or of the user's code."""
    if not part.is_own and (replaced := replaced_callback(part.name)) is not None:
        return f"callbacks must leave out {part.name}: {replaced}"
    return unknown_name(part, "callbacks", CALLBACKS)


def squeezed(name: str) -> str:
    """A name of Keras's in a form that its class and its function have in common: `meaniou` of `mean_io_u`."""
    return name.replace("_", "").lower()


def known_name(name: str, known: tuple[str, ...]) -> str | None:
    """The name among `known` that Keras's `name` means: that of a class or a function; None if there is none."""
    plain = squeezed(name)
    plain = squeezed(OTHER_NAMES.get(plain, plain))
    return next((one for one in known if squeezed(one) == plain), None)


def unknown_name(part: Part, key: str, known: tuple[str, ...]) -> str | None:
    """The problem with a name that is neither one of `known` nor that of the user's code; None if it is."""
    if part.is_own or known_name(part.name, known):
        return None
    near = did_you_mean(part.name, known)
    listed = "" if near else f": {first_few(known, most=len(known))}"
    return f"{key} must name a part of Keras{listed}, or one of yours as my_module.f, got {part.name!r}{near}"


def unfit_name(part: Part, key: str, mode: str, fitting: tuple[str, ...]) -> str | None:
    """The problem with a part of Keras that means nothing for labels of `mode`; None if it does."""
    if part.is_own or known_name(part.name, fitting):
        return None
    core = _core(part.name)
    near = next((name for name in fitting if _core(name) == core), None)
    fix = f"did you mean {near!r}?" if near else f"choose one of {first_few(fitting, most=len(fitting))}"
    return f"{key} must fit labels of class_mode={mode}, got {part.name!r}, which would be computed wrongly; {fix}"


def _core(name: str) -> str:
    """What a name says without the kind of its labels: `crossentropy` of `SparseCategoricalCrossentropy`."""
    return re.sub(r"sparse|categorical|binary|onehot", "", squeezed(OTHER_NAMES.get(squeezed(name), name)))
