"""Samples of an image, numbers and a mask in whole runs: exact resume, bad masks, and a table of weighted masks."""

import shutil

import numpy as np
import pytest

from runner import compose
from runner.errors import BadSampleError
from runner.modes.run import run
from tests.support.masks import CLASSES, discs, write_discs
from tests.support.run_files import read_document, read_rows

pytestmark = pytest.mark.usefixtures("empty_pages", "eager")

UNET = ["model=unet", "model.depth=1", "model.filters=2", "loader.batch_size=4", "loader.workers=1"]
UNET += ["train.optimizer={name: sgd, momentum: 0.9}"]  # Adam takes half of the time of a step that is not traced
MINE = """
from tests.support.masks import disc_image

class Patients:
    ids = [f"p{number}" for number in range(14)]
    def __len__(self): return 14
    def read(self, index):
        image, mask = disc_image(index)
        return {"age": index / 14, "scan": image, "cells": mask}
    targets = ["cells"]
"""


def digests(folder):
    found = read_document(folder)["digests"]
    return {name: found[name] for name in ("ids", "pixels", "weights", "weights_per_epoch", "masks")}


def test_several_arrays_and_masks_resume_exactly(tmp_path, monkeypatch):
    (tmp_path / "mine_patients.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    data = ["extensions=[mine_patients]", "data=custom", "data.target=mine_patients.Patients", "data.class_mode=mask"]
    data += [CLASSES, "data.augment.rotation=0.1", "data.augment.crop=[8,8]", *UNET, "loader.batch_size=6"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    run(compose([*data, "train.epochs=2"]), folder=whole)
    run(compose([*data, "train.epochs=1", "loader=in_memory"]), folder=parts)
    run(compose([f"resume={parts}", "train.epochs=2", "loader=generator", "extensions=[mine_patients]"]))
    assert digests(parts) == digests(whole)
    document = read_document(whole)
    assert {name: field["shape"] for name, field in document["data"]["fields"].items()} == {
        "age": [1],
        "scan": [8, 8, 3],
    }
    assert document["data"]["heads"][0]["field"] == "cells"


def test_images_with_bad_masks_are_skipped(tmp_path):
    root = write_discs(tmp_path / "discs", 12)
    (root / "masks" / "b" / "05.png").unlink()
    shutil.copy(root / "images" / "a" / "02.png", root / "masks" / "a" / "02.png")
    keys = [*discs(root), *UNET, "loader.batch_size=12", "train.epochs=1", "data.validation_split=0"]
    with pytest.raises(BadSampleError, match=r"masks/b/05\.png: no such file"):
        run(compose([*keys, "mode=fit"]), folder=tmp_path)
    skipped = tmp_path / "skipped"
    skipped.mkdir()
    run(compose([*keys, "mode=fit", "data.on_bad=skip"]), folder=skipped)
    rows = {row["id"]: row for row in read_rows(skipped / "bad_samples.csv")}
    assert rows["b/05.png"]["path"] == f"{root}/masks/b/05.png"
    assert "must have one channel" in rows["a/02.png"]["reason"]
    assert read_document(skipped)["results"]["fit"]["samples_seen"] == 10


def test_weights_of_samples_weigh_all_their_pixels(tmp_path):
    """A sample of weight 0 changes nothing: neither the loss nor the weights."""
    root = write_discs(tmp_path / "discs", 8, size=(8, 8))  # as many columns as samples in a batch
    paths = [(f"images/{'ab'[n % 2]}/{n:02}.png", f"masks/{'ab'[n % 2]}/{n:02}.png") for n in range(8)]
    table = "path,mask,weight\n" + "\n".join(f"{image},{mask},{n % 2}" for n, (image, mask) in enumerate(paths))
    (root / "t.csv").write_text(table)
    keys = ["data=dataframe", f"data.manifest={root}/t.csv", "data.mask_column=mask", "data.class_mode=mask", CLASSES]
    keys += ["data.weight_column=weight", "data.target_size=[8,8]", "data.validation_split=0", *UNET]
    keys += ["loader.batch_size=8", "train.epochs=1", "mode=fit"]
    weights = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        run(compose(keys), folder=folder)
        weights.append(read_document(folder)["digests"]["weights"])
        for _, mask in paths[::2]:  # of weight 0
            shutil.copy(root / paths[1][1], root / mask)
    assert weights[0] == weights[1]
    assert np.isfinite(float(read_rows(folder / "metrics.csv")[0]["loss"]))
