"""Formats by content and by name."""

import io

import numpy as np
import pytest
from PIL import Image

from runner.data.image_files import SUFFIXES
from runner.errors import BadSampleError
from runner.images.decoder import HEAD, format_of, misnamed
from runner.images.exact import FORMATS
from runner.images.fast import open_decoder
from runner.images.settings import ImageSettings
from runner.place import Place


def head_of(suffix):
    """The first bytes of an image that Pillow writes for this suffix."""
    file = io.BytesIO()
    mode = {".pgm": "L", ".pbm": "1"}.get(suffix, "RGB")
    Image.new(mode, (3, 3)).save(file, format=Image.registered_extensions()[suffix])
    return file.getvalue()[:HEAD]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_suffix_matches_its_content(suffix):
    assert format_of(head_of(suffix)) is not None
    assert misnamed(f"a{suffix}", head_of(suffix)) is None
    assert misnamed(f"a{suffix.upper()}", head_of(suffix)) is None


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".jpg", ".jpeg"}))
def test_content_of_another_format_is_reported(suffix):
    assert misnamed(f"a{suffix}", head_of(".jpg")) == f"content is JPEG, name says {suffix}"


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("decode", ["exact", "fast"])
def test_postscript_starts_no_program(decode, tmp_path, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    (tmp_path / "a.png").write_bytes(POSTSCRIPT)
    reader = open_decoder(ImageSettings(target_size=(9, 9), decode=decode, color_mode="grayscale"), tmp_path / "a.png")
    with pytest.raises(BadSampleError, match=r"a.png: cannot identify image file"):
        reader.read(Place(str(tmp_path / "a.png")), np.empty((9, 9, 1), np.uint8))


def test_formats_are_those_of_the_suffixes():
    Image.init()
    assert set(FORMATS) == {Image.registered_extensions()[suffix] for suffix in SUFFIXES}


def test_unknown_content_is_not_reported():
    assert format_of(b"hello") is None
    assert misnamed("a.png", b"hello") is None
