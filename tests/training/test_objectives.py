"""Losses and metrics by name: what they compute, and what is refused before training."""

import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from runner.batch import ArraySpec
from runner.data.labels import Head
from runner.errors import ConfigurationError
from runner.models.base import DICE, Task, output_of
from runner.models.metrics import refuse_unnumbered
from runner.training.objectives import objectives_of
from runner.training.settings import Train

SPEC = ArraySpec((3,), np.dtype("f4"))
CLASSES = ("cat", "dog", "owl")
MINE = """
import keras

register = keras.saving.register_keras_serializable("mine_l")

@register
class Scaled(keras.losses.Loss):
    def __init__(self, scale, forgets=False, name="scaled", **kwargs):
        super().__init__(name=name, **kwargs)
        self.scale, self.forgets = scale, forgets

    def call(self, y_true, y_pred):
        return self.scale * keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    def get_config(self):
        return {**super().get_config(), "scale": 1 if self.forgets else self.scale}

@register
def distance(y_true, y_pred):
    return keras.ops.abs(y_true - y_pred)

@register
def branching(y_true, y_pred):
    return y_pred.shape[7]

@register
class Unsaved(keras.losses.Loss):
    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        return y_true

@register
class Count(keras.metrics.Metric):
    def __init__(self, gives="value", name="count", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gives, self.total = gives, self.add_weight(initializer="zeros")
        self.results = {"value": self.total.value, "variable": self.total, "several": {"a": 1.0, "b": 1.0}}
        if gives not in self.results:
            raise ValueError("no such result")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(len(y_true))

    def result(self):
        return self.results[self.gives]

    def get_config(self):
        return {**super().get_config(), "gives": self.gives}

def unregistered(y_true, y_pred):
    return y_true

def make(scale):
    return Scaled(scale)

short = lambda y_true, y_pred: y_pred
number = 3
"""


@pytest.fixture(scope="module", autouse=True)
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine_l.py").write_text(MINE)
    sys.path.append(str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("mine_l", None)


def objectives(mode, *heads, **train):
    names = {"binary": ("no", "yes"), "raw": ()}.get(mode, CLASSES)
    values = ("height",) if mode == "raw" else ()
    all_heads = heads or (Head("", mode, names, values),)
    task = Task(SPEC, "none", tuple(output_of(head, (4, 4)) for head in all_heads))
    return objectives_of(Train(**train), task)


def refusal(mode, *heads, **train):
    with pytest.raises(ConfigurationError) as refused:
        objectives(mode, *heads, **train)
    return str(refused.value)


def one_loss(mode, **train):
    return objectives(mode, **train).losses["label"]


def test_smoothing_is_that_of_keras():
    smooth = one_loss("categorical", label_smoothing=0.25)
    labels, predicted = np.eye(3, dtype="f4"), np.full((3, 3), 1 / 3, "f4")
    labels_seen = 0.75 * labels + 0.25 / 3
    assert float(smooth(labels, predicted)) == pytest.approx(float(np.mean(-labels_seen @ np.log(predicted[0]))), 1e-5)
    assert one_loss("binary", loss="binary_focal_crossentropy", label_smoothing=0.5).get_config()["gamma"] == 2
    assert objectives("categorical").losses == {}


@pytest.mark.parametrize(
    ("mode", "train", "message"),
    [
        (
            "sparse",
            {},
            "must be 0 with the loss sparse_categorical_crossentropy, whose labels are class codes, got 0.1",
        ),
        ("raw", {}, "must be 0 for numbers, which have no classes, got 0.1"),
        (
            "categorical",
            {"loss": "kl_divergence"},
            "must be 0 with the loss kl_divergence, which has no label_smoothing",
        ),
        ("categorical", {"loss": {"name": "ce", "label_smoothing": 0.2}}, "next to the label_smoothing of train.loss"),
        ("categorical", {"loss": "mine_l.distance"}, "must be 0 with train.loss=mine_l.distance, a loss of yours"),
    ],
)
def test_smoothing_without_effect_is_refused(mode, train, message):
    assert message in refusal(mode, label_smoothing=0.1, **train)


def test_logits_and_unknown_arguments_are_refused():
    assert "must have from_logits=false" in refusal("categorical", loss={"name": "ce", "from_logits": True})
    text = refusal("raw", loss={"name": "huber", "delt": 2.0})
    assert text == (
        "train.loss: huber must have arguments among delta, reduction, name, got 'delt'; did you mean 'delta'?"
    )


def test_each_head_has_its_own_loss():
    heads = Head("kind", "categorical", CLASSES), Head("size", "raw", (), ("size",)), Head("sex", "binary", ("f", "m"))
    found = objectives("", *heads, loss={"size": "mine_l.distance", "kind": "kl_divergence"}, metrics={"sex": ["auc"]})
    assert list(found.losses) == ["kind", "size"]
    assert [metric.name for metric in found.metrics["sex"]] == ["auc"]
    assert "got 'kin'; did you mean 'kind'?" in refusal("", *heads, loss={"kin": "mse"})
    text = refusal("", *heads, loss="categorical_crossentropy", metrics=["accuracy"])
    assert "class_mode=raw, got 'categorical_crossentropy'" in text
    assert "class_mode=binary, got 'categorical_crossentropy'" in text
    assert "class_mode=raw, got 'accuracy'" in text
    taken = refusal("", *heads, metrics={"sex": [{"name": "auc", "arguments": {"name": "loss"}}]})
    assert "got 'sex_loss' of the metric loss" in taken and taken.endswith("{name: …, arguments: {name: loss_2}}")
    smoothed = objectives("", *heads, label_smoothing=0.1).losses
    assert list(smoothed) == ["kind", "sex"]


def scores(mode, labels, predicted, *metrics):
    made = objectives(mode, metrics=list(metrics)).renewed()["label"]
    for metric in made:
        metric.update_state(labels, predicted)
    return [np.asarray(metric.result()).tolist() for metric in made]


def mixed_scores(mode, labels, predicted, **train):
    made = objectives(mode, **train).of_mixed_labels().renewed()["label"]
    for metric in made:
        metric.update_state(np.float32(labels), np.float32(predicted))
    return {metric.name: pytest.approx(np.asarray(metric.result()).tolist(), abs=1e-5) for metric in made}


def test_mixed_labels_count_as_the_class_with_most():
    shares, chances = [0.3, 0.5, 0.9, 0.0], [[0.4], [0.7], [0.2], [0.6]]
    assert mixed_scores("binary", shares, chances) == {"accuracy": 0.5}
    several = mixed_scores("binary", shares, chances, metrics=["precision", "binary_crossentropy"])
    assert several["precision"] == 0.5
    exact = keras.losses.binary_crossentropy(np.float32(shares)[:, None], np.float32(chances))
    assert several["binary_crossentropy"] == float(np.mean(exact))
    rows = [[0.6, 0.4, 0.0], [0.0, 0.3, 0.7]]
    assert mixed_scores("multi_label", rows, [[0.9, 0.6, 0.1], [0.2, 0.1, 0.4]]) == {"binary_accuracy": 0.666667}
    of_classes = mixed_scores(
        "categorical", rows, [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]], metrics=["accuracy", "precision"]
    )
    assert of_classes == {"accuracy": 0.5, "precision": 0.5}


def test_other_metrics_take_mixed_labels_as_such():
    assert objectives("categorical").of_mixed_labels().metrics == {}
    assert objectives("raw").of_mixed_labels().metrics == {}
    own = objectives("categorical", metrics=["mine_l.distance"]).of_mixed_labels().metrics["label"]
    assert type(own[0]) is keras.metrics.MeanMetricWrapper


CODES = np.array([0, 1, 2, 2, 1], "f4")
PROBABILITIES = np.array([[8, 1, 1], [1, 7, 2], [5, 2, 3], [1, 2, 7], [4, 5, 1]], "f4") / 10
OF_CLASSES = ("auc", "precision", "recall", "f1_score", {"name": "top_k_categorical_accuracy", "k": 2}, "mean_iou")


def test_metrics_of_codes_equal_those_of_one_hot():
    one_hot = np.eye(3, dtype="f4")[CODES.astype(int)]
    assert scores("sparse", CODES, PROBABILITIES, *OF_CLASSES) == scores(
        "categorical", one_hot, PROBABILITIES, *OF_CLASSES
    )
    assert scores("sparse", CODES, PROBABILITIES, "f1_score")[0] == pytest.approx([2 / 3, 1, 2 / 3])


def test_scores_of_two_classes_use_a_threshold():
    labels, predicted = np.array([0, 1, 1, 1], "f4"), np.array([[0.9], [0.8], [0.6], [0.2]], "f4")
    f1, accuracy, entropy = scores("binary", labels, predicted, "f1_score", "accuracy", "binary_crossentropy")
    assert f1 == pytest.approx(2 / 3)
    assert accuracy == 0.5
    assert entropy == pytest.approx(-np.mean(np.log([0.1, 0.8, 0.6, 0.2])), 1e-5)


def test_ignored_pixels_count_in_no_metric():
    head = Head("", "mask", CLASSES, ignored=255)
    found = objectives("", head, metrics=["mean_iou"]).metrics["label"]
    assert found[0].get_config()["ignore_class"] == 255
    assert "must leave out accuracy for masks with ignored pixels" in refusal("", head, metrics=["accuracy"])


def test_dice_is_that_of_images_and_classes():
    head = Head("", "mask", CLASSES)
    found = objectives("", head, loss="dice", metrics=["accuracy"])
    assert found.task.outputs[0].loss == DICE
    assert found.losses["label"].axis == (1, 2)
    assert type(found.metrics["label"][0]) is keras.metrics.CategoricalAccuracy
    output = replace(output_of(head, (4, 4)), loss=DICE)
    with pytest.raises(ConfigurationError, match=r"train\.loss must be null with model\.loss=dice"):
        objectives_of(Train(loss="ce"), Task(SPEC, "none", (output,)))


@pytest.mark.parametrize(
    ("mode", "metrics", "message"),
    [
        (
            "categorical",
            ["accuracy", "accuracy"],
            "got 'accuracy' of the metric accuracy, which the metric accuracy has",
        ),
        ("raw", [{"name": "mse", "arguments": {"name": "loss"}}], "got 'loss' of the metric loss, which the loss has"),
        ("raw", [{"name": "mse", "arguments": {"name": "seconds"}}], "which the run has already"),
        ("raw", [{"name": "mse", "arguments": {"name": "val_x"}}], "must not begin with val_"),
        ("binary", [{"name": "precision", "thresholds": [0.2, 0.5, 0.7]}], "one for each of 2 classes, got 3 values"),
        (
            "categorical",
            [{"name": "top_k_categorical_accuracy", "k": 50}],
            "must have k below the number of classes, 3, got 50: it would always be 1",
        ),
    ],
)
def test_metrics_without_a_column_are_refused(mode, metrics, message):
    assert message in refusal(mode, metrics=metrics)


def test_own_parts_are_made_and_tried():
    loss = one_loss("raw", loss={"name": "mine_l.Scaled", "scale": 3})
    assert float(loss(np.zeros((2, 1)), np.ones((2, 1)))) == 3
    assert one_loss("raw", loss={"name": "mine_l.make", "scale": 2}).scale == 2
    assert one_loss("categorical", loss="mine_l.distance").__name__ == "distance"
    assert objectives("categorical", metrics=["mine_l.distance"]).metrics["label"][0].name == "distance"


def counted(gives):
    return {"metrics": [{"name": "mine_l.Count", "gives": gives}]}


def test_variable_as_a_result_is_refused_on_jax(monkeypatch):
    objectives("raw", **counted("variable"))
    total = keras.Variable(0.0)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(
        ConfigurationError, match=r"^train.metrics=count must return a tensor from result\(\), got a keras"
    ):
        refuse_unnumbered(total, "train.metrics=count")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"loss": "mine_l.unregistered"}, "write @keras.saving.register_keras_serializable() above `def unregistered`"),
        ({"loss": "mine_l.short"}, "must be no lambda, which no file can hold"),
        ({"loss": "mine_l.number"}, "train.loss.name must be a function or class, got mine_l.number"),
        ({"loss": "mine_l.make"}, "train.loss.name=mine_l.make must accept the arguments ()"),
        ({"loss": {"name": "mine_l.Scaled", "scale": 3, "forgets": True}}, "one that loads with another scale"),
        ({"loss": "mine_l.branching"}, "cannot be computed for labels of shape n and outputs of shape n×1"),
        (
            {"loss": {"name": "mine_l.Unsaved", "scale": 3}},
            "whose get_config() leaves out the argument scale",
        ),
        (counted("none"), "train.metrics.name=mine_l.Count cannot be made: ValueError: no such result ("),
        (
            counted("several"),
            "mine_l.Count must return one tensor from result(), got 2 values",
        ),
        ({"metrics": ["mine_l.distance"]}, "must give one value for each sample, got one for each pair of samples"),
    ],
)
def test_own_parts_that_cannot_work_are_refused(train, message):
    assert message in refusal("raw", **train)
