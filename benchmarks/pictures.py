"""Pictures of the pages of runs and sweeps of each kind, and of all runs: wide, narrow, dark, and as printed.

It takes some minutes and needs Playwright and a Chromium. `--only` makes the pages of some kinds.

python benchmarks/pictures.py pictures [--only run masks] [--docs docs/images/pages]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
PHOTOS = ["data=dataframe", "data.manifest=photos.csv", "data.split_column=split", "data.target_size=[32,32]"]
PHOTOS += ["loader.batch_size=8", "train.epochs=12"]
MASKS = ["data=directory", "data.root=pets/images", "data.masks=pets/trimaps", "data.class_mode=mask"]
MASKS += ["data.mask_values={1: pet, 2: background}", "data.ignore_value=3", "data.target_size=[64,64]"]
MASKS += ["model=unet", "model.depth=2", "model.filters=8", "loader.batch_size=8", "train.epochs=6"]
QUICK = ["model=mlp", "model.hidden_units=[16]", "train.epochs=4", "data.limit=400"]

KINDS: dict[str, list[str]] = {
    "run": ["train.epochs=20"],
    "failed": ["data=directory", "data.root=damaged", "data.target_size=[8,8]", "train.epochs=3"],
    "interrupted": ["train.epochs=20"],
    "regression": [*PHOTOS, "data.label_columns=[area]", "data.class_mode=raw"],
    "heads": [*PHOTOS, "data.class_mode={shape: sparse, size: binary, area: raw}"],
    "masks": MASKS,
    "classes": ["data=directory", "data.root=many", "data.target_size=[8,8]", "model=mlp", "train.epochs=4"],
    "sweep": ["-m", *QUICK, "train.learning_rate=0.001,0.01,0.1", "model.hidden_units=[8],[32]", "seed=0,1"],
    "search": [
        "-m",
        *QUICK,
        "sweep.search=random",
        "sweep.trials=6",
        "train.learning_rate=tag(log,interval(0.0001,0.1))",
    ],
}
"""What is typed for each kind of page."""

DOCUMENTED = ("failed-dark", "interrupted-wide", "heads-wide", "masks-wide", "classes-wide", "search-wide")
"""Pictures that `--docs` makes small for docs/start/page-pictures.md."""

VIEWS = {"wide": (1400, "light", "screen"), "narrow": (390, "light", "screen")}
VIEWS |= {"dark": (1400, "dark", "screen"), "print": (720, "light", "print")}
"""Width, colours and medium of each picture."""

INTERRUPTED = """
import signal
import keras
from runner import compose, run

class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 7:
            signal.raise_signal(signal.SIGINT)

run(compose(["train.epochs=20"]), callbacks=[Stop()])
"""


def write_data() -> None:
    """Write the example data, a hundred classes, and folders with a file that is no image, in the present folder."""
    subprocess.run([sys.executable, "-m", "runner.examples"], check=True, capture_output=True)
    for number in range(100):
        folder = Path(f"many/class {number:02}")
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(12):
            shade = (number * 2 + copy % 3, (number * 7) % 256, (number * 13) % 256)
            Image.new("RGB", (8, 8), shade).save(folder / f"{copy}.png")
    for name, shade in (("cats", 60), ("dogs", 200)):
        Path("damaged", name).mkdir(parents=True, exist_ok=True)
        for copy in range(40):
            Image.new("RGB", (8, 8), (shade, copy, copy)).save(f"damaged/{name}/{copy}.png")
    Path("damaged/dogs/17.png").write_bytes(b"no image")


def page_of(kind: str) -> Path:
    """Do the run or the sweep of a kind; its page."""
    typed = ["-c", INTERRUPTED] if kind == "interrupted" else ["-m", "runner", *KINDS[kind]]
    parent = Path("outputs/sweeps" if "-m" in KINDS[kind] else "outputs/runs")
    subprocess.run([sys.executable, *typed], check=False, capture_output=True)
    return max(parent.absolute().iterdir(), key=lambda folder: folder.name) / "report.html"


def take_pictures(pages: dict[str, Path], folder: Path) -> None:
    """Take all pictures of each page, the wide ones of the first screen and the rest of the whole page."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for kind, file in pages.items():
            for view, (width, colours, medium) in VIEWS.items():
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
                page.emulate_media(media=medium)
                page.goto(file.absolute().as_uri())
                if medium == "print":
                    page.evaluate("dispatchEvent(new Event('beforeprint'))")
                page.screenshot(path=folder / f"{kind}-{view}.png", full_page=True)
                page.close()
        browser.close()


def shrink(pictures: Path, folder: Path) -> None:
    """Write the upper part of documented pictures, as small files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTED:
        with Image.open(pictures / f"{name}.png") as picture:
            top = picture.convert("RGB").crop((0, 0, picture.width, min(picture.height, 3600)))
        small = top.resize((720, top.height * 720 // top.width), Image.Resampling.LANCZOS)
        small.save(folder / f"{name.partition('-')[0]}.webp", quality=60, method=6)


def main() -> None:
    """Make the pages in a folder of their own below `folder`, and the pictures in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--docs", type=Path, help="also write those of the documentation, to this folder")
    given = parser.parse_args()
    work = given.folder.absolute() / "runs"
    work.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = str(ROOT)
    with contextlib.chdir(work):
        write_data()
        pages = {kind: page_of(kind) for kind in given.only}
        pages["index"] = Path("outputs/index.html").absolute()
        take_pictures(pages, work.parent)
    if given.docs is not None:
        shrink(work.parent, given.docs)
    for kind, file in pages.items():
        print(f"{kind:<12} {file.stat().st_size / 1e6:.2f} MB  {file}")


if __name__ == "__main__":
    main()
