"""Image files that are whole, cut, padded, and of more than 8 bits."""

import cv2
import numpy as np
import pytest
from downloads import write

from data_builders.image_files import damage, depth
from jmer.data import check, load
from jmer.data.image_size import pixels_of
from jmer.preprocess.tensors import resize

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
FLAGS = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 90], ".png": [], ".bmp": [], ".ppm": []}
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]


def encoded(ending, image=IMAGE, flags=()):
    return cv2.imencode(ending, image, list(flags) or FLAGS.get(ending, []))[
        1
    ].tobytes()


def looked(tmp_path, ending, content):
    path = tmp_path / f"img1{ending}"
    path.write_bytes(content)
    return damage(path)


@pytest.mark.parametrize("ending", FLAGS)
@pytest.mark.parametrize("rest", [b"", bytes(512), b"\xff" * 70_000, b"\xff\xd8 more"])
def test_what_follows_a_whole_image_does_no_harm(ending, rest, tmp_path):
    assert looked(tmp_path, ending, encoded(ending) + rest) == ""


@pytest.mark.parametrize("ending", FLAGS)
@pytest.mark.parametrize("padding", [0, 512])
def test_a_cut_image_is_truncated_also_if_it_is_filled_up(ending, padding, tmp_path):
    content = encoded(ending)[:-200]
    filled = content + bytes(padding)
    expected = "is truncated"
    if ending in (".bmp", ".ppm") and padding:
        expected = ""  # these have no end; its pixels are black
    assert looked(tmp_path, ending, filled) == expected


@pytest.mark.parametrize("flags", [PROGRESSIVE, PROGRESSIVE[2:]])
def test_a_preview_has_an_end_of_its_own(flags, tmp_path):
    whole, preview = encoded(".jpg", flags=flags), encoded(".jpg", IMAGE[:8, :8])
    size = (len(preview) + 2).to_bytes(2, "big")
    made = whole[:2] + b"\xff\xe1" + size + preview + whole[2:]
    assert looked(tmp_path, ".jpg", made + bytes(99)) == ""
    assert looked(tmp_path, ".jpg", made[: len(preview) + 300] + bytes(99)) != ""


def deep(tree, change, ending=".png"):
    """Writes every frame anew, of values that `change` makes of 8 bits."""
    for take in tree.takes:
        for path in sorted(take.folder.iterdir()):
            image = change(cv2.imread(str(path)).astype(np.uint16))
            path.with_suffix(ending).write_bytes(encoded(ending, image))
            if ending != path.suffix:
                path.unlink()
    return tree.config


def frames_of(config):
    return load(config).inputs["clip"]


TWELVE = {"bits": "12"}


@pytest.mark.parametrize("ending", [".png", ".tiff", ".ppm"])
@pytest.mark.parametrize(
    ("shift", "fields"),
    [(4, TWELVE), (2, {"bits": "10"}), (8, {}), (8, {"bits": "16"})],
)
def test_values_of_16_bits_are_what_8_bits_were(shift, fields, ending, tmp_path):
    low = np.uint16(2**shift - 1)  # below what is kept
    source = write("casme2", tmp_path)
    eight = {t.key: resize(t.published, 32)[[0]] for t in source.loaded}
    config = deep(source, lambda x: (x << shift) | low, ending)
    kept = type(config)(**{**vars(config), **fields})
    assert not check(kept)[0]
    clips = load(kept)
    assert len(clips) == len(eight)
    for i, key in enumerate(zip(clips.subject, clips.clip_id, strict=True)):
        first = clips.inputs["clip"][i][0].astype(int)
        assert np.abs(first - eight[tuple(map(str, key))][0]).max() <= 60
        assert first.max() > 100  # not nearly black


@pytest.mark.parametrize(("shift", "bits"), [(4, 12), (2, 10)], ids=["twelve", "ten"])
def test_bits_that_are_not_stated_are_asked_for(shift, bits, tmp_path):
    config = deep(write("casme2", tmp_path), lambda x: (x << shift) | 1)
    problems, _ = check(config)
    assert len(problems) == 1
    assert (
        f"they hold {bits} bits, or show the dark. Choose --bits 10, 12" in problems[0]
    )
    problems, said = check(type(config)(**{**vars(config), "bits": f"{bits}"}))
    assert not problems and f"read as {bits} bits, as --bits says" in said


def test_a_set_that_is_only_dark_is_left_as_it_is(tmp_path):
    for name, change in {
        "8 bits": lambda x: (x // 16).astype(np.uint8),
        "expanded": lambda x: (x // 16) * np.uint16(257),
        "upper half": lambda x: (x // 16) << 8,
    }.items():
        config = deep(write("casme2", tmp_path / name), change)
        assert check(config)[0] == []
        assert 2 < frames_of(config).max() < 16


def test_too_few_bits_are_refused(tmp_path):
    config = deep(write("casme2", tmp_path), lambda x: x << 8)
    problems, _ = check(type(config)(**{**vars(config), "bits": "10"}))
    assert problems and all("more than 10 bits can hold" in p for p in problems)


@pytest.mark.parametrize("most", [4095, 1023])
def test_files_that_state_their_bits(most, tmp_path):
    bits = most.bit_length()

    def pnm(path):
        values = cv2.imread(str(path)).astype(np.uint16)[..., ::-1] << (bits - 8)
        head = f"P6\n{values.shape[1]} {values.shape[0]}\n{most}\n".encode()
        path.with_suffix(".ppm").write_bytes(head + values.byteswap().tobytes())
        path.unlink()

    tree = write("casme2", tmp_path)
    expected = frames_of(tree.config)
    for take in tree.takes:
        for path in list(take.folder.iterdir()):
            pnm(path)
    again = {**vars(tree.config), "data_dir": tmp_path / "again"}
    config = type(tree.config)(**again)
    assert f"read as {bits} bits, as their files say" in check(config)[1]
    assert np.array_equal(frames_of(config), expected)


def test_depths(tmp_path):
    deep_image = IMAGE.astype(np.uint16) << 4
    png = encoded(".png", deep_image)
    stated = (
        png[:33] + (3).to_bytes(4, "big") + b"sBIT\x0c\x0c\x0c" + bytes(4) + png[33:]
    )
    for name, content, expected in [
        ("a.png", png, (16, 0)),
        ("b.png", stated, (16, 12)),
        ("c.png", encoded(".png"), (8, 0)),
        ("d.jpg", encoded(".jpg"), (8, 0)),
        ("e.pgm", b"P5 # a note\n2 1\n4095\n" + bytes(4), (16, 12)),
        ("f.pgm", b"P5\n2 1\n65535\n" + bytes(4), (16, 0)),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        assert depth(path) == expected, name


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tiff", ".ppm"])
def test_the_size_stands_in_the_head(ending):
    assert pixels_of(encoded(ending)) == 20 * 24


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_tiff_that_claims_too_many_pixels(order, tmp_path):
    tree = write("casme2", tmp_path)
    path = tree.loaded[1].path(tree.loaded[1].apex)

    def entry(tag):
        parts = ((tag, 2), (4, 2), (1, 4), (60_000, 4))
        return b"".join(value.to_bytes(n, order) for value, n in parts)

    head = b"II*\0" if order == "little" else b"MM\0*"
    body = (8).to_bytes(4, order) + (2).to_bytes(2, order) + entry(256) + entry(257)
    path.with_suffix(".tif").write_bytes(head + body + bytes(4))
    path.unlink()
    problems, _ = check(tree.config)
    assert len(problems) == 1 and "3,600,000,000 pixels" in problems[0]
