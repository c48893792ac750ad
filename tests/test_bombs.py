"""Files that are small on the disk and huge in memory are refused, soon and by name."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_builders import frame_files
from data_builders.frame_files import decode
from jmer.data.image_size import pixels_of
from jmer.errors import JmerError
from jmer.files.bombs import load_arrays
from jmer.runs.weights import Weights
from jmer.weights.archive import read_weights


def header(*shape: int, dtype: str = "<f4") -> bytes:
    made = io.BytesIO()
    about = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(made, about)
    return made.getvalue()


def archive(file: Path, content: bytes, *, claims: int | None = None) -> Path:
    """With a directory that may claim another size of its one array."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("about.npy", content)
        if claims is not None:
            made.infolist()[0].file_size = claims
    return file


def load(file: Path) -> dict[str, np.ndarray]:
    with file.open("rb") as opened:
        return load_arrays(file, opened)


@pytest.mark.parametrize("claims", [2**29, 2**40, 2**62])
def test_what_unpacks_to_more_than_is_believed(tmp_path, claims):
    file = archive(tmp_path / "a.npz", header(claims // 4) + bytes(99), claims=claims)
    with pytest.raises(JmerError, match="unpacks to") as caught:
        load(file)
    assert str(file) in str(caught.value) and f"{claims:,}" in str(caught.value)
    for read in (read_weights, lambda f: Weights.load(f.parent)):
        (tmp_path / "weights.json").write_text("{}")
        (tmp_path / "weights.npz").write_bytes(file.read_bytes())
        with pytest.raises(JmerError, match="unpacks to"):
            read(file)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((10**12,), "<f4"), ((2**40, 2**40), "<f4"), ((10**15,), "|V0"),
     ((10**15,), "<U0"), ((2**62, 3), "|u1")],
    ids=str,
)  # fmt: skip
def test_a_header_that_claims_more_than_there_is(tmp_path, shape, dtype):
    file = archive(tmp_path / "a.npz", header(*shape, dtype=dtype) + bytes(400))
    with pytest.raises(ValueError, match="cut short"):
        load(file)
    with pytest.raises(JmerError, match="cut short"):
        read_weights(file)


def test_arrays_come_as_they_were(tmp_path):
    arrays = {
        "a": np.zeros((3, 0, 4)), "b": np.array("text"), "c": np.arange(5)[::-1],
        "d": np.asfortranarray(np.eye(3, 4, dtype=np.float16)), "e": np.array(True),
    }  # fmt: skip
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = load(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


def test_objects_and_single_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.eye(2))
    with pytest.raises(ValueError, match="single array"):
        load(tmp_path / "b.npy")


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp"])
def test_the_size_of_an_image_is_read_off_its_head(tmp_path, monkeypatch, kind):
    image = np.random.default_rng(0).integers(0, 255, (37, 53, 3), np.uint8)
    content = cv2.imencode(f".{kind}", image)[1].tobytes()
    assert pixels_of(content) == 37 * 53
    assert pixels_of(content[:20]) in (None, 0) and pixels_of(b"GIF89a") is None
    file = tmp_path / f"a.{kind}"
    file.write_bytes(content)
    monkeypatch.setattr(frame_files, "MOST_PIXELS", 37 * 53 - 1)
    with pytest.raises(JmerError, match="says that it has 1,961 pixels") as caught:
        decode([file])
    assert str(file) in str(caught.value)


def test_a_picture_of_giants_is_not_decoded(tmp_path):
    content = bytearray(cv2.imencode(".png", np.eye(8, dtype=np.uint8))[1].tobytes())
    content[16:24] = b"\0\0\x75\x30" * 2  # 30,000 x 30,000, which OpenCV would decode
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with pytest.raises(JmerError, match="900,000,000 pixels"):
        decode([file])
