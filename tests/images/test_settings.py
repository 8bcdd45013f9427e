from pathlib import Path

import pytest
from pydantic import ValidationError

from runner.images.fast import open_decoder
from runner.images.settings import ImageSettings


@pytest.mark.parametrize(
    ("decode", "interpolation"), [("exact", "bilinear"), ("exact", "nearest"), ("fast", "bicubic")]
)
def test_settings_refuse_pointless_antialias(decode, interpolation):
    message = (
        "antialias=false must go with decode=fast and interpolation=bilinear or nearest, "
        f"got decode={decode} interpolation={interpolation}; "
    )
    with pytest.raises(ValidationError, match=message):
        ImageSettings(antialias=False, decode=decode, interpolation=interpolation)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_settings_take_antialias_false_with_fast(interpolation):
    assert not ImageSettings(antialias=False, interpolation=interpolation).antialias


@pytest.mark.parametrize(
    ("decode", "interpolation", "name"),
    [
        ("fast", "bilinear", "FastDecoder"),
        ("fast", "nearest", "FastDecoder"),
        ("fast", "lanczos", "ExactDecoder"),
        ("exact", "bilinear", "ExactDecoder"),
    ],
)
def test_settings_choose_the_reader(decode, interpolation, name):
    settings = ImageSettings(decode=decode, interpolation=interpolation)
    assert type(open_decoder(settings, Path("absent.png"))).__name__ == name
