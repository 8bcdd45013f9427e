"""The choices of each configuration group: the settings classes that `kind` chooses among, and where the files are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from runner.data.arrays import Arrays
from runner.data.custom import Custom as CustomData
from runner.data.dataframe import DataFrame
from runner.data.dataset import NoData
from runner.data.digits import Digits
from runner.data.directory import Directory
from runner.data.mix import Mix
from runner.data.npy import Npy
from runner.data.pack import Pack
from runner.data.tar import Tar
from runner.loaders.auto import Auto
from runner.loaders.custom import Custom as CustomLoader
from runner.loaders.kinds import DirectoryFlow, Generator, InMemory, Sequence
from runner.models.application import Application
from runner.models.cnn import CNN, CNN3D
from runner.models.custom import Custom as CustomModel
from runner.models.mlp import MLP
from runner.models.unet import UNet
from runner.trackers.base import NoTracker
from runner.trackers.mlflow import MLflow
from runner.trackers.tensorboard import TensorBoard
from runner.trackers.wandb import WandB

AnyData = Annotated[
    Digits | Directory | DataFrame | Npy | Arrays | Pack | Tar | CustomData | Mix | NoData, Field(discriminator="kind")
]
"""`data=…`: where the samples come from."""

AnyLoader = Annotated[
    InMemory | Generator | Sequence | DirectoryFlow | Auto | CustomLoader, Field(discriminator="kind")
]
"""`loader=…`: how they reach the model."""

AnyModel = Annotated[MLP | CNN | CNN3D | UNet | Application | CustomModel, Field(discriminator="kind")]
"""`model=…`: what is trained."""

AnyTracker = Annotated[NoTracker | TensorBoard | MLflow | WandB, Field(discriminator="kind")]
"""`tracker=…`: where else results go."""


def our_conf() -> Path:
    """The folder of the runner's own files: inside the package in a wheel, next to it in a checkout."""
    inside = Path(__file__).resolve().parent / "conf"
    return inside if inside.is_dir() else inside.parents[1] / "conf"
