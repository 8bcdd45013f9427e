"""Parts by their names: how they are written, and which of Keras's fit which labels."""

import keras
import pytest

from runner.models.own_parts import class_of
from runner.models.parts import LOSSES, METRICS, known_name, unfit_name
from runner.training.settings import Train


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        ("huber", {}),
        ({"name": "huber", "delta": 2.0}, {"delta": 2.0}),
        ({"name": "huber", "arguments": {"delta": 2.0}}, {"delta": 2.0}),
    ],
)
def test_loss_is_a_name_or_name_and_arguments(loss, arguments):
    settings = Train(loss=loss, metrics=[loss] if loss != "huber" else None) if loss == "huber" else Train(loss=loss)
    assert (settings.loss.name, settings.loss.arguments) == ("huber", arguments)


def test_parts_of_heads_are_read_back():
    settings = Train(
        loss={"species": "ce", "name": {"name": "my_a.f", "gamma": 2}},
        metrics={"species": "auc", "name": ["recall", "my_a.G"]},
        optimizer={"name": "my_b.Slow", "arguments": {"momentum": 0.5}},
        learning_rate="my_c.half",
    )
    assert Train.model_validate(settings.document()) == settings
    assert dict(settings.names()) == {
        "loss.name": "my_a.f",
        "metrics.name": "my_a.G",
        "optimizer.target": "my_b.Slow",
        "learning_rate.target": "my_c.half",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "categorical_crosentropy"}, r"loss must name a part .* did you mean 'categorical_crossentropy'\?"),
        ({"metrics": {"x": ["acuracy"]}}, r"metrics\.x must name a part .* did you mean 'accuracy'\?"),
        (
            {"loss": "wrong", "metrics": ["wrong"]},
            r"loss must name a part of Keras: crossentropy, .*; metrics must name",
        ),
    ],
)
def test_unknown_names_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Train(**given)


@pytest.mark.parametrize(("module", "table"), [(keras.losses, LOSSES), (keras.metrics, METRICS)])
def test_names_are_classes_of_keras(module, table):
    names = {name for names in table.values() for name in names} - {"accuracy"}
    assert all(issubclass(class_of(module, name), (keras.Loss, keras.Metric)) for name in names)


@pytest.mark.parametrize(
    "name", ["mse", "MSE", "MeanSquaredError", "mean_squared_error", "meanSquaredError"]
)  # as `keras.losses.get` takes them, and more
def test_spellings_of_keras_are_known(name):
    assert known_name(name, LOSSES["raw"]) == "mean_squared_error"


@pytest.mark.parametrize(
    ("mode", "name", "fits"),
    [
        ("binary", "categorical_crossentropy", "binary_crossentropy"),
        ("categorical", "BinaryCrossentropy", "categorical_crossentropy"),
        ("sparse", "categorical_crossentropy", "sparse_categorical_crossentropy"),
        ("multi_label", "categorical_focal_crossentropy", "binary_focal_crossentropy"),
    ],
)
def test_loss_of_other_labels_is_refused(mode, name, fits):
    settings = Train(loss=name)
    assert unfit_name(settings.loss, "train.loss", mode, LOSSES[mode]) == (
        f"train.loss must fit labels of class_mode={mode}, got {name!r}, which would be computed wrongly; did you mean "
        f"{fits!r}?"
    )


@pytest.mark.parametrize(
    ("mode", "name", "fits"),
    [
        ("binary", "top_k_categorical_accuracy", "choose one of accuracy, "),
        ("multi_label", "accuracy", "did you mean 'binary_accuracy'"),
        ("sparse", "one_hot_mean_io_u", None),
        ("raw", "accuracy", "choose one of mean_squared_error"),
        ("categorical", "sparse_categorical_accuracy", "did you mean 'accuracy'"),
    ],
)
def test_metric_of_other_labels_is_refused(mode, name, fits):
    problem = unfit_name(Train(metrics=name).metrics[0], "train.metrics", mode, METRICS[mode])
    assert problem is None if fits is None else fits in problem
