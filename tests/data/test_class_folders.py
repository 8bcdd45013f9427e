"""data=directory: class folders as people have them."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from runner.data.directory import Directory
from runner.errors import DataError


def image(file, value=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 6, 3), value, np.uint8)).save(file)


@pytest.fixture
def root(tmp_path):
    """Two classes of four images, one of them nested; a hidden folder and a text file beside them."""
    for name in ("cat", "dog"):
        for number in range(3):
            image(tmp_path / name / f"{number}.png")
        image(tmp_path / name / "more" / "deep.jpg")
    image(tmp_path / ".thumbnails" / "x.png")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    image(tmp_path / "cat" / ".hidden.png")
    return tmp_path


def directory(root, **keys):
    return Directory(root=root, target_size=(4, 4), **{"validation_split": 0.0, **keys})


def test_classes_and_ids_come_from_sorted_folders(root):
    train = directory(root).open().splits["train"]
    assert train.labels.heads[0].class_names == ("cat", "dog")
    assert list(train.ids[:4]) == ["cat/0.png", "cat/1.png", "cat/2.png", "cat/more/deep.jpg"]
    assert train.labels.columns[0].tolist() == [0] * 4 + [1] * 4


def test_chosen_classes_stand_in_the_order_given(root):
    dataset = directory(root, classes=("dog", "cat")).open()
    assert dataset.heads[0].class_names == ("dog", "cat")
    assert dataset.splits["train"].ids[0] == "dog/0.png"


def test_unknown_class_lists_existing_folders(root):
    with pytest.raises(DataError, match=r"data.classes must name folders of .*, got cow; the folders are cat, dog"):
        directory(root, classes=("cat", "cow")).open()


def test_linked_class_folder_is_followed(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    image(elsewhere / "0.png")
    (root / "bird").symlink_to(elsewhere)
    assert "bird/0.png" in directory(root).open().splits["train"].ids


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        ("cat/self", "cat", "cat/self must not lead to the files of .*cat: each would be a sample twice"),
        ("cat/up", ".", "cat must not lead to the files of .*cat/up"),
        ("kitten", "cat", "kitten must not lead to the files of .*cat|cat must not lead to the files of .*kitten"),
        ("dog/other", "cat/more", "dog/other must not lead to the files of .*cat"),
    ],
)
def test_link_to_files_of_another_class_is_refused(root, link, target, message):
    (root / link).symlink_to(root / target)
    with pytest.raises(DataError, match=message):
        directory(root).open()


def test_split_linked_to_another_is_refused(tmp_path):
    for name in "ab":
        image(tmp_path / "train" / name / "0.png")
        image(tmp_path / "val" / "b" / "0.png")
    (tmp_path / "val" / "a").symlink_to(tmp_path / "train" / "a")
    with pytest.raises(DataError, match="a must not lead to the files of .*a: each would be a sample twice; remove"):
        directory(tmp_path).open()


def test_link_out_of_the_root_is_followed_once(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    image(elsewhere / "0.png")
    (root / "cat" / "out").symlink_to(elsewhere)
    (root / "dog" / "more" / "deep").symlink_to(elsewhere)
    dataset = directory(root).open()
    assert "cat/out/0.png" in dataset.splits["train"].ids
    assert f"1 linked folder further down is not followed: {root}/dog/more/deep" in dataset.notes


def test_files_left_out_are_counted_by_suffix(root):
    for name in ("x.jfif", "y.jfif", "z.JPE", "README"):
        (root / "dog" / name).touch()
    (note,) = directory(root).open().notes
    assert note == f"5 files below {root} are left out by suffix: .jfif (2), none (1), .jpe (1), .txt (1)"


def test_classes_agree_in_any_unicode_form(tmp_path):
    for split, form in (("train", "NFC"), ("val", "NFD")):
        for name in ("café", "thé"):
            image(tmp_path / split / unicodedata.normalize(form, name) / "0.png")
    splits = directory(tmp_path).open().splits
    assert [source.labels.columns[0].tolist() for source in splits.values()] == [[0, 1], [0, 1]]
    assert [len(source.ids[0]) for source in splits.values()] == [len("train/café/0.png"), len("val/café/0.png") + 1]
    image(tmp_path / "train" / unicodedata.normalize("NFD", "thé") / "0.png")
    with pytest.raises(DataError, match="must hold one folder for each class, got thé twice, .*NFC and NFD"):
        directory(tmp_path).open()


def test_folder_one_may_not_list_is_named(root, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match=f"{root} cannot be listed: permission denied"):
        directory(root).open()


@pytest.mark.parametrize("name", ["validation", "val"])
def test_split_folders_are_the_splits(tmp_path, name):
    for split in ("train", name, "test"):
        image(tmp_path / split / "a" / "0.png")
        image(tmp_path / split / "b" / "0.png")
    splits = directory(tmp_path, validation_split=0.5, test_split=0.4).open().splits
    assert {split: list(source.ids) for split, source in splits.items()} == {
        "train": ["train/a/0.png", "train/b/0.png"],
        "validation": [f"{name}/a/0.png", f"{name}/b/0.png"],
        "test": ["test/a/0.png", "test/b/0.png"],
    }


def test_train_folder_among_others_is_a_class(root):
    image(root / "train" / "0.png")
    assert directory(root).open().heads[0].class_names == ("cat", "dog", "train")


def test_roots_of_their_own_are_splits(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    image(other / "dog" / "9.png")
    splits = directory(root, validation_root=other).open().splits
    assert list(splits["validation"].ids) == ["dog/9.png"]
    assert splits["validation"].labels.columns[0].tolist() == [1]


def test_class_that_training_lacks_is_refused(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    image(other / "cow" / "9.png")
    with pytest.raises(DataError, match="must have only class folders of the training data, got cow"):
        directory(root, validation_root=other).open()


def test_binary_needs_two_classes(root):
    image(root / "cow" / "0.png")
    with pytest.raises(DataError, match=r"data.class_mode=binary needs 2 classes, got 3 \(cat, cow, dog\); set"):
        directory(root, class_mode="binary").open()


def test_images_without_folders_explain_layout(tmp_path):
    image(tmp_path / "0.png")
    with pytest.raises(DataError, match=r"holds no images in class folders; expected .*/CLASS/IMAGE.jpg"):
        directory(tmp_path).open()


def test_folder_without_images_explains_layout(tmp_path):
    with pytest.raises(DataError, match=r"holds no images in class folders; expected .*/CLASS/IMAGE.jpg"):
        directory(tmp_path).open()


@pytest.mark.parametrize("mode", [None, "input"])
def test_without_classes_the_folder_is_read_whole(root, mode):
    image(root / "loose.png")
    train = directory(root, class_mode=mode).open().splits["train"]
    assert len(train) == 9
    assert "loose.png" in train.ids


@pytest.mark.parametrize("stratify", [True, False])
def test_added_files_move_none_of_other_classes(root, stratify):
    before = directory(root, validation_split=0.4, stratify=stratify).open().splits
    for number in range(3, 40):
        image(root / "cat" / f"{number}.png")
    after = directory(root, validation_split=0.4, stratify=stratify).open().splits
    for split in before:
        left = set(before[split].ids) - set(after[split].ids)
        assert {name.split("/")[0] for name in left} <= ({"cat"} if stratify else set())


def test_fraction_that_took_none_is_noted(tmp_path):
    image(tmp_path / "a" / "0.png")
    image(tmp_path / "b" / "0.png")
    dataset = directory(tmp_path, validation_split=0.001).open()
    assert dataset.notes == ("data.validation_split=0.001 selects none of 2 samples: there is no validation split",)


@pytest.mark.parametrize("mode", ["categorical", "sparse", "binary", "input", None])
def test_labels_are_those_of_keras(root, mode):
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    flow = ImageDataGenerator().flow_from_directory(
        str(root), target_size=(4, 4), class_mode=mode, shuffle=False, batch_size=8
    )
    train = directory(root, class_mode=mode).open().splits["train"]
    ours = [name for name in train.ids if "thumb" not in name]
    assert ours == [name for name in flow.filenames if "/." not in name and not name.startswith(".")]
    if mode in ("categorical", "sparse", "binary") and len(flow.class_indices) == 2:
        x = np.stack([train.read(index) for index in range(8)])
        y, theirs = train.labels.encode(np.arange(8), x), flow[0][1]
        assert (y.dtype, y.shape) == (theirs.dtype, theirs.shape)
        assert np.array_equal(y, theirs)


def test_photographs_that_lie_are_noted(root):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (8, 6)).save(root / "cat" / "0.jpg", exif=exif)
    assert any(note.startswith("1 of ") and "has an EXIF orientation" in note for note in directory(root).open().notes)
