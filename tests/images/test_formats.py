"""Formats by content and by name."""

import io

import pytest
from PIL import Image

from runner.data.image_files import SUFFIXES
from runner.images.reader import HEAD, format_of, misnamed


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


def test_unknown_content_is_not_reported():
    assert format_of(b"hello") is None
    assert misnamed("a.png", b"hello") is None
