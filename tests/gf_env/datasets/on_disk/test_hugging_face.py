"""Against the real library, on data sets that it writes itself."""

import os
import pickle
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from gf_env.datasets import Augmented, load_dataset
from gf_env.datasets.load import has_split
from tests.helpers.image_trees import LIKE, cut_off, write_image, write_tree

hf = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def hf_cache(tmp_path, monkeypatch):
    """An empty cache, no Hub to ask, and no bars."""
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", True)
    hf.disable_progress_bars()


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree")


def in_folders(tree):
    return tree


def saved(tree):
    """The content of the files, in Arrow files."""
    hf.load_dataset(str(tree)).save_to_disk(tree.parent / "saved")
    return tree.parent / "saved"


def parquet(tree):
    place = tree.parent / "parquet"
    place.mkdir()
    for name, table in hf.load_from_disk(saved(tree)).items():
        table.to_parquet(place / f"{name}.parquet")
    return place


def texts_for_classes(tree):
    """Labels that are texts, and a split that is called as in folders."""
    tables = {}
    for folder in ("train", "val"):
        files = sorted((tree / folder).rglob("*.png"))
        columns = {"photo": list(map(str, files)), "animal": [each.parent.name for each in files]}
        tables[folder] = hf.Dataset.from_dict(columns).cast_column("photo", hf.Image())
    hf.DatasetDict(tables).save_to_disk(tree.parent / "texts")
    return tree.parent / "texts"


FORMATS = [in_folders, saved, parquet, texts_for_classes]


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_format_gives_the_images_of_the_folders(tree, write, split):
    expected = load_dataset(tree, split, like=LIKE)
    name = f"hf:{write(tree)}"
    data = load_dataset(name, split, like=LIKE)
    assert (data.name, data.split, data.spec) == (name, split, expected.spec)
    assert np.array_equal(data.labels, expected.labels)
    everything = np.arange(len(expected))
    assert torch.equal(data.images(everything), expected.images(everything))
    assert isinstance(data, Augmented)
    augmented = data.augmented_images(everything, 3)
    assert torch.equal(augmented, expected.augmented_images(everything, 3))
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again.images(everything), expected.images(everything))


@pytest.mark.parametrize("write", FORMATS)
def test_splits_there_are(tree, write):
    name = f"hf:{write(tree)}"
    there = [has_split(name, split) for split in ("train", "validation", "test", "pretrain")]
    assert there == [True, True, False, False]
    with pytest.raises(ValueError, match=r"no split 'test' in hf:.*; it has \['.*', '.*'\]"):
        load_dataset(name, "test")


def test_one_split_that_was_saved_alone(tree):
    hf.load_dataset(str(tree), split="validation").save_to_disk(tree.parent / "one")
    name = f"hf:{tree.parent / 'one'}"
    assert len(load_dataset(name, "validation", like=LIKE)) == 4
    assert not has_split(name, "train")


@pytest.mark.parametrize("write", [in_folders, saved])
def test_unreadable_images(tree, write):
    cut_off(tree / "train" / "dog" / "1.png")
    name = f"hf:{write(tree)}"
    with pytest.raises(ValueError, match=r'cannot be decoded.*unreadable="skip"'):
        load_dataset(name, "train", like=LIKE).images(np.array([4]))
    with pytest.warns(UserWarning, match="1 of 6 images of hf:") as warned:
        data = load_dataset(name, "train", like=LIKE, unreadable="skip")
    assert warned[0].filename == __file__
    assert (data.labels.tolist(), data.num_skipped) == ([0, 0, 0, 1, 1], 1)


def test_an_image_is_turned_as_the_camera_was(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = Image.new("RGB", (40, 40))
    upright.paste((255, 255, 255), (0, 0, 20, 40))
    for name in ("a", "b"):
        path = tmp_path / "turned" / "train" / name / "0.png"
        write_image(path, upright)
        upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    pixels = load_dataset(f"hf:{saved(tmp_path / 'turned')}", "train", like=LIKE).images([0])
    assert pixels[0, 0, 16, 4] > 200 > 50 > pixels[0, 0, 16, 28]


def test_a_row_without_an_image_and_one_whose_file_is_gone(tree):
    place = in_folders(tree)
    data = load_dataset(f"hf:{place}", "train", like=LIKE)
    (tree / "train" / "cat" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"cat.0\.png cannot be opened"):
        data.images(np.array([0]))
    table = hf.Dataset.from_dict({"image": [None, None], "label": ["x", "y"]})
    table.cast_column("image", hf.Image()).save_to_disk(tree.parent / "none")
    data = load_dataset(f"hf:{tree.parent / 'none'}", "train", like=LIKE)
    with pytest.raises(ValueError, match=r"image 1 of hf:.* cannot be decoded"):
        data.images(np.array([1]))


def write_columns(root, **columns):
    """A saved split of three pictures twice, `left` and `right`, and other columns."""
    files = [str(write_image(root / f"{n}.png", Image.new("L", (9, 9), n))) for n in range(3)]
    table = hf.Dataset.from_dict({"left": files, "right": files[::-1], **columns})
    for name in ("left", "right"):
        table = table.cast_column(name, hf.Image())
    table.save_to_disk(root / "columns")
    return f"hf:{root / 'columns'}"


def test_columns_that_are_named(tmp_path):
    name = write_columns(tmp_path, animal=["cat", "dog", "cat"], legs=[30, 4, 4])
    data = load_dataset(f"{name},image=right,label=legs", "train", like=LIKE)
    assert data.images(np.arange(3))[:, 0, 0, 0].tolist() == [2, 1, 0]
    assert (data.spec.classes, data.labels.tolist()) == (("4", "30"), [1, 0, 0])
    data = load_dataset(f"{name},label=animal,image=left", "train", like=LIKE)
    assert (data.spec.classes, data.labels.tolist()) == (("cat", "dog"), [0, 1, 0])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("", r"several columns that may be its images, \['left', 'right'\]: .*,image=left"),
        (",image=left", r"several columns that may be its labels, \['animal', 'legs'\].*,label="),
        (",image=legs", "no column 'legs' of images.*'legs': 'int64'"),
        (",image=left,label=weight", "no column 'weight' of labels.*'weight': 'float64'"),
        (",image=left,label=left", "no column 'left' of labels.*'left': 'Image'"),
        (",image=left,label=spot", r"1 of 3 images .* no label in column 'spot' but None"),
    ],
)
def test_columns_that_are_not_clear(tmp_path, asked, message):
    name = write_columns(
        tmp_path,
        animal=["cat", "dog", "cat"],
        legs=[4, 5, 4],
        weight=[0.5] * 3,
        spot=["a", "b", None],
    )
    if asked in ("", ",image=left"):
        name = write_columns(tmp_path / "clear", animal=["cat", "dog", "cat"], legs=[4, 5, 4])
    with pytest.raises(ValueError, match=message):
        load_dataset(f"{name}{asked}", "train", like=LIKE)


def test_a_class_label_goes_before_other_columns(tmp_path, tree):
    table = hf.load_dataset(str(tree), split="train").add_column("number", list(range(6)))
    table.save_to_disk(tmp_path / "numbered")
    data = load_dataset(f"hf:{tmp_path / 'numbered'}", "train", like=LIKE)
    assert data.spec.classes == ("cat", "dog")


def test_unlabelled_images_and_other_classes_than_those_of_train(tmp_path, tree):
    tables = hf.load_dataset(str(tree))
    unlabelled = tables["validation"].map(lambda row: {"label": -1})
    turned = tables["validation"].cast_column("label", hf.ClassLabel(names=["dog", "cat"]))
    made = {"train": tables["train"], "validation": turned, "test": unlabelled}
    hf.DatasetDict(made).save_to_disk(tmp_path / "odd")
    with pytest.raises(ValueError, match=r"4 of 4 images .* no label in column 'label' but -1"):
        load_dataset(f"hf:{tmp_path / 'odd'}", "test")
    with pytest.raises(ValueError, match=r"\['dog', 'cat'\], but \['cat', 'dog'\] in train"):
        load_dataset(f"hf:{tmp_path / 'odd'}", "validation")


def test_configurations(tmp_path, tree):
    (tree / "README.md").write_text(
        "---\nconfigs:\n- config_name: few\n  data_dir: val\n- config_name: many\n"
        "  data_dir: train\n---\n"
    )
    sizes = [len(load_dataset(f"hf:{tree}:{each}", "train", like=LIKE)) for each in ("few", "many")]
    assert sizes == [4, 6]
    with pytest.raises(ValueError, match=r"hf:.*tree cannot be read .*few.*many"):
        load_dataset(f"hf:{tree}", "train")
    with pytest.raises(ValueError, match=r"configuration 'none'.*few"):
        load_dataset(f"hf:{tree}:none", "train")


def test_a_saved_data_set_has_no_configuration(tree):
    with pytest.raises(ValueError, match="has no configuration 'default'"):
        load_dataset(f"hf:{saved(tree)}:default", "train")


def test_names_on_the_hub_are_found_in_the_cache_and_fetched_only_when_asked(tree, monkeypatch):
    hf.load_dataset(str(tree))  # in the cache as `tree`, where what was fetched is too
    asked = []
    real = hf.load_dataset
    monkeypatch.setattr(hf, "load_dataset", lambda *words: asked.append(words) or real(str(tree)))
    monkeypatch.chdir(tree.parent.parent)
    assert len(load_dataset("hf:tree", "train", like=LIKE)) == 6
    for name in ("hf:someone/nothing", "hf:tree:other"):
        with pytest.raises(ValueError, match=r"cache of `datasets`.*download=True fetches it"):
            load_dataset(name, "train")
        assert not has_split(name, "train")
    assert not asked
    assert len(load_dataset("hf:someone/nothing:plain", "train", like=LIKE, download=True)) == 6
    assert asked == [("someone/nothing", "plain")]


def test_a_hub_that_cannot_be_reached(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"hf:nothing cannot be read .*ConnectionError"):
        load_dataset("hf:nothing", "train", download=True)


@pytest.mark.parametrize(
    "name", ["dataset_dict.json", "train/state.json", "train/dataset_info.json"]
)
@pytest.mark.parametrize("damage", [cut_off, lambda path: path.write_text("[1]")])
def test_damaged_data_sets_are_named(tree, name, damage):
    place = saved(tree)
    damage(place / name)
    with pytest.raises(ValueError, match=f"{place}"):
        load_dataset(f"hf:{place}", "train")


def test_the_library_is_optional(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"`datasets`, which is not installed.*'gf-env\[hf\]'"):
        load_dataset(f"hf:{tree}", "train")
    assert not has_split(f"hf:{tree}", "train")


@pytest.mark.parametrize("name", ["dataset_info.json", "state.json", "data.arrow"])
def test_a_pipe_is_not_waited_for(tree, name):
    place = saved(tree) / "train"
    (place / name).unlink(missing_ok=True)
    os.mkfifo(place / name)
    with pytest.raises(ValueError, match="not a regular file"):
        load_dataset(f"hf:{place}", "train")


def test_notes_of_any_size_are_not_read(tree):
    place = saved(tree) / "train"
    os.truncate(place / "state.json", 1 << 33)
    with pytest.raises(ValueError, match="larger than 512 MiB"):
        load_dataset(f"hf:{place}", "train")
