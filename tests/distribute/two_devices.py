"""Runs on one device and on two, in a process of its own: `python -m tests.distribute.two_devices FOLDER DIGITS DISCS`.

Prints as JSON what the run folders do not say: functions compiled in each epoch, and the message of a refusal.
"""

import gc
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import runner
from runner.distribute.ranks import Rank
from runner.errors import ConfigurationError, Terminated
from runner.modes import evaluate
from runner.modes.follow import follow
from runner.modes.run import run
from tests.support.masks import discs
from tests.support.once import done_once
from tests.support.pages import without_pages

TWO = "distribute.devices=2"
QUICK = ["backend=jax", "loader.workers=1", "loader.batch_size=50", "data.limit=125", "train.learning_rate=0.01"]
CNN = [*QUICK, "model=mlp", "model.hidden_units=[8]", "data.on_bad=substitute"]
CNN += ["train.phases=[{epochs: 1, trainable: false, augment: {mixup: 0.4}}, {epochs: 1}]"]
OPTIONS = [*QUICK, "mode=fit", "model=mlp", "model.hidden_units=[8]", "train.precision=mixed_bfloat16"]
OPTIONS += ["train.optimizer={name: sgd, use_ema: true, gradient_accumulation_steps: 2}", "train.class_weight=balanced"]
OPTIONS += ["train.reduce_lr_on_plateau={patience: 0, min_delta: 1.0}", "train.epochs=4", "data.limit=100"]
OPTIONS += ["data.on_bad=substitute"]
OPTIONS += ["train.early_stopping={patience: 1, min_delta: 1.0, restore_best_weights: true}"]
SCALED = [*QUICK, "mode=fit", "model=mlp", "model.hidden_units=[8]", "train.precision=mixed_float16", "train.epochs=1"]
SCALED += ["data.on_bad=substitute"]
PIXELS = ["backend=jax", "model=custom", "extensions=[pixel_model]", "model.target=pixel_model.of_pixels"]
PIXELS += ["train.epochs=1", "loader.batch_size=4", "data.limit=4"]


def start():
    """Have JAX find two devices on the CPU."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    os.environ["KERAS_BACKEND"], os.environ["JAX_PLATFORMS"] = "jax", "cpu"
    os.fsync = lambda descriptor: None


def compiled_by_epoch():
    """A list that gets the number of functions compiled in each epoch from now on."""
    import jax

    from runner.training import loop

    compiled, by_epoch, fit_epoch = [], [], loop._fit_epoch

    def note(event, seconds, **named):
        if "backend_compile" in event:
            compiled.append(event)

    def counted(*given):
        before = len(compiled)
        fit_epoch(*given)
        by_epoch.append(len(compiled) - before)

    jax.monitoring.register_event_duration_secs_listener(note)
    loop._fit_epoch = counted
    return by_epoch


def do(folder, *overrides):
    """A run in `folder`."""
    gc.freeze()
    folder.mkdir(exist_ok=True)
    runner.run(runner.compose(overrides), folder=folder)


def predict_by_ranks(folder, *overrides):
    """What two processes predict, one after the other in this one: each alone, as a prediction needs no other."""
    config = runner.compose(overrides)
    (folder / "ranks").mkdir(parents=True)
    picture_data, evaluate.picture_data = evaluate.picture_data, None  # which rank 0 alone does
    follow(config, Rank(1, 2), folder)
    evaluate.picture_data = picture_data
    run(config, folder=folder, rank=Rank(0, 2))


def stop(folder, *overrides, at):
    """A run that a signal stops at a step."""
    from runner.feeds.delivery import RecordedDelivery

    hand_over = RecordedDelivery.hand_over

    def stopped(self, step, batch):
        if step == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return hand_over(self, step, batch)

    RecordedDelivery.hand_over = stopped
    try:
        do(folder, *overrides)
    except Terminated:
        return
    finally:
        RecordedDelivery.hand_over = hand_over
    raise AssertionError("the run was not stopped")


def main(out, digits, photos):
    """All runs. Each name is that of a folder; with `-2`, on two devices."""
    start()
    by_epoch, compiled, data = compiled_by_epoch(), {}, f"data.root={digits}"
    masks = [*PIXELS, *discs(photos)]
    with without_pages(), done_once():
        do(out / "cnn", *CNN, data)
        do(out / "cnn-2", *CNN, data, TWO)
        do(out / "predict-2", f"from_run={out}/cnn", "mode=predict", TWO)
        of_one = [f"from_run={out}/cnn-2", "mode=predict", "distribute.devices=null"]
        do(out / "predict-1", *of_one)
        predict_by_ranks(out / "predict-ranks", *of_one, "distribute.processes=2")
        stop(out / "resumed", *CNN, data, TWO, at=4)
        shutil.copytree(out / "resumed", out / "fewer")
        do(out / "resumed", f"resume={out}/resumed")
        do(out / "fewer", f"resume={out}/fewer", "distribute.devices=null")
        stop(out / "scaled", *SCALED, data, TWO, at=0)
        do(out / "scaled", f"resume={out}/scaled")
        for name, overrides in {"options": [*OPTIONS, data], "masks": masks}.items():
            do(out / name, *overrides)
            by_epoch.clear()
            do(out / f"{name}-2", *overrides, TWO)
            compiled[name] = list(by_epoch)
        try:
            do(out / "three", *CNN, data, "distribute.devices=3")
        except ConfigurationError as error:
            refused = str(error)
    sys.stdout.write(json.dumps({"compiled": compiled, "refused": refused}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
