import io
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from runner.errors import BadSampleError
from runner.images.decoder import refuse_bomb
from runner.images.fast import open_decoder
from runner.images.settings import ImageSettings
from runner.place import Place

DECODERS = ["exact", "fast"]


def _read(path, **keys):
    reader = open_decoder(ImageSettings(**keys), path)
    out = np.empty(reader.spec.shape, reader.spec.dtype)
    reader.read(Place(str(path)), out)
    return out


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(("color_mode", "channels"), [("grayscale", 1), ("rgb", 3), ("rgba", 4)])
def test_reader_spec_has_size_and_channels(kinds, decode, color_mode, channels):
    settings = ImageSettings(target_size=(20, 30), color_mode=color_mode, decode=decode)
    spec = open_decoder(settings, kinds[0]).spec
    assert (spec.shape, spec.dtype) == ((20, 30, channels), np.uint8)


@pytest.mark.parametrize("decode", DECODERS)
def test_reader_survives_pickling(photographs, decode):
    reader = open_decoder(ImageSettings(target_size=(50, 60), decode=decode), photographs[0])
    copy = pickle.loads(pickle.dumps(reader))
    assert copy == reader
    out = np.empty(reader.spec.shape, np.uint8)
    copy.read(Place(str(photographs[0])), out)
    np.testing.assert_array_equal(out, _read(photographs[0], target_size=(50, 60), decode=decode))


@pytest.mark.parametrize("decode", DECODERS)
def test_reader_writes_only_its_row_of_a_batch(photographs, decode):
    reader = open_decoder(ImageSettings(target_size=(17, 19), decode=decode, color_mode="grayscale"), photographs[0])
    batch = np.full((3, 17, 19, 1), 7, np.uint8)
    reader.read(Place(str(photographs[0])), batch[1])
    assert (batch[::2] == 7).all() and batch[1].std() > 5


@pytest.mark.parametrize("decode", DECODERS)
def test_reader_pixels_are_equal_in_all_threads(photographs, kinds, decode):
    paths = [*photographs, *kinds] * 3
    reader = open_decoder(ImageSettings(target_size=(64, 48), decode=decode), paths[0])

    def read(path):
        out = np.empty(reader.spec.shape, np.uint8)
        reader.read(Place(str(path)), out)
        return out.tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, paths)) == [read(path) for path in paths]


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"", "empty file"),
        (b"hello, I am text", "cannot identify image file"),
    ],
)
def test_reader_names_a_bad_file_and_the_reason(tmp_path, decode, content, reason):
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSampleError) as caught:
        _read(path, decode=decode)
    assert (caught.value.name, caught.value.reason) == (str(path), reason)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("kept", [20, 40, 60, 300, 900, -40])
def test_reader_names_every_truncated_file(kinds, tmp_path, decode, kept):
    for kind in kinds:
        data = kind.read_bytes()
        path = tmp_path / kind.name
        path.write_bytes(data[: min(kept, len(data) - 40)])
        try:
            _read(path, decode=decode)
        except BadSampleError as error:
            assert error.name == str(path) and error.reason and "BytesIO" not in error.reason


def test_reader_refuses_a_folder(tmp_path):
    with pytest.raises(BadSampleError, match="is a directory"):
        _read(tmp_path)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "lanczos"])
def test_reader_scales_16_bits_to_one(deep, decode, interpolation):
    keys = {"color_mode": "grayscale", "decode": decode, "interpolation": interpolation}
    whole = _read(deep, target_size=(30, 40), **keys)
    with Image.open(deep) as image:
        expected = np.asarray(image).astype(np.float32)[..., None] / 65_535
    np.testing.assert_allclose(whole, expected, atol=1e-7)
    smaller = _read(deep, target_size=(13, 17), **keys)
    assert smaller.dtype == np.float32 and 0 <= smaller.min() < 0.1 and 0.9 < smaller.max() <= 1


@pytest.mark.parametrize("decode", DECODERS)
def test_reader_scales_8_bits_among_16_bits(deep, kinds, decode):
    settings = ImageSettings(color_mode="grayscale", target_size=(44, 60), decode=decode)
    out = np.empty((44, 60, 1), np.float32)
    for path in kinds:
        open_decoder(settings, deep).read(Place(str(path)), out)
        expected = _read(path, color_mode="grayscale", target_size=(44, 60), decode=decode)
        np.testing.assert_allclose(out * 255, expected, atol=1e-4, err_msg=path.name)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
def test_reader_scales_16_bits_to_8_among_8_bits(deep, kinds, decode, color_mode):
    reader = open_decoder(ImageSettings(color_mode=color_mode, target_size=(30, 40), decode=decode), kinds[0])
    out = np.empty(reader.spec.shape, np.uint8)
    reader.read(Place(str(deep)), out)
    with Image.open(deep) as image:
        expected = np.round(np.asarray(image) / 257)
    np.testing.assert_array_equal(out[..., 0], expected)


def test_reader_refuses_gray_beyond_16_bits(tmp_path):
    path = tmp_path / "counts.tiff"
    Image.fromarray(np.full((5, 5), 70_000, np.int32)).save(path)
    with pytest.raises(BadSampleError, match="gray values must be 0 to 65,535, got 70,000 to 70,000"):
        _read(path, color_mode="grayscale")


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
@pytest.mark.parametrize(("dtype", "what"), [("f4", "are floats"), ("i4", "have 32 bits")])
def test_values_without_a_white_are_refused(tmp_path, decode, color_mode, dtype, what):
    path = tmp_path / "wide.tif"
    Image.fromarray(np.arange(64).reshape(8, 8).astype(dtype)).save(path)
    with pytest.raises(BadSampleError, match=f"gray values {what}, whose .* unknown; save it with 8 or 16 bits per"):
        _read(path, color_mode=color_mode, decode=decode, target_size=(8, 8))


@pytest.mark.parametrize("color_mode", ["grayscale", "rgb"])
def test_gray_of_16_bits_in_tiff_and_pnm_is_read(tmp_path, color_mode):
    values = np.linspace(0, 65_535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "deep.tif")
    (tmp_path / "deep.pgm").write_bytes(b"P5 8 8 65535\n" + values.astype(">u2").tobytes())
    for path in tmp_path.iterdir():
        read = _read(path, color_mode=color_mode, target_size=(8, 8))
        assert read.max() == (255 if color_mode == "rgb" else 1)


def test_settings_and_readers_import_lazily():
    code = (
        "import sys; from pathlib import Path; from runner.images import ImageSettings;"
        "heavy = {'PIL', 'cv2', 'simplejpeg', 'pandas', 'keras', 'tensorflow'};"
        "print(sorted(heavy & set(sys.modules)));"
        "from runner.images.fast import open_decoder; open_decoder(ImageSettings(), Path('absent'));"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == ["[]", "['PIL', 'cv2', 'simplejpeg']"]


def _refused(path, decode="fast"):
    with pytest.raises(BadSampleError) as refused:
        _read(path, target_size=(8, 8), decode=decode)
    assert refused.value.name == str(path)
    return refused.value.reason


def test_pipe_and_device_are_bad_samples(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    assert _refused(tmp_path / "pipe.png") == _refused(tmp_path / "zero.png") == "is a pipe or a device, not a file"
    assert _refused(tmp_path) == "is a directory"


def test_file_of_gigabytes_is_a_bad_sample(tmp_path):
    with (tmp_path / "big.png").open("wb") as file:
        file.truncate(30_000_000_000)
    assert _refused(tmp_path / "big.png").startswith("30,000,000,000 bytes are too many for a sample")


def bomb(kind):
    """A small file whose header says 13,000 x 13,000 pixels."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, kind, **({"progressive": True} if kind == "JPEG" else {}))
    data = bytearray(file.getvalue())
    if kind == "JPEG":
        place = data.index(b"\xff\xc2") + 5
        data[place : place + 4] = struct.pack(">HH", 13_000, 13_000)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", 13_000, 13_000)
    else:
        data[16:24] = struct.pack(">II", 13_000, 13_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_bomb_is_refused_before_it_is_decoded(kind, decode, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(bomb(kind))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("was decoded"))
    monkeypatch.setattr("simplejpeg.decode_jpeg", lambda *_, **__: pytest.fail("was decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert _refused(tmp_path / "a.png", decode).startswith("13,000x13,000 pixels in a file of ")


def test_large_plain_image_is_no_bomb():
    refuse_bomb(5_000, 6_000, 1_000)
    refuse_bomb(10_000, 10_000, 200_000)
