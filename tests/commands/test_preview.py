"""`physim preview`: the pictures hold exactly the frames of the data set."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageSequence

import physim
from physim import pictures
from physim.cli import cli
from physim.command_line import run
from physim.errors import RecipeError
from physim.shards import manifest


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preview") / "two_body"
    physim.render(system="two_body", n=20, n_test=3, out=folder)
    return physim.open(folder)


def _preview(dataset, *arguments):
    return CliRunner().invoke(
        cli, ["preview", str(dataset.path), *map(str, arguments)], catch_exceptions=False
    )


def _status(monkeypatch, capsys, *arguments):
    """Exit status and message of the whole program."""
    monkeypatch.setattr(sys, "argv", ["physim", "preview", *map(str, arguments)])
    status = run(cli)
    return status, capsys.readouterr().err


def _contains(picture, patch):
    """Whether the patch stands somewhere in the picture, pixel by pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, patch.shape)[:, :, 0]
    corner = (windows[..., 0, 0, :] == patch[0, 0]).all(axis=-1)
    return any((windows[y, x] == patch).all() for y, x in zip(*np.nonzero(corner), strict=True))


def test_a_sheet_shows_the_chosen_trajectories_pixel_by_pixel(dataset, tmp_path):
    file = tmp_path / "sheet.png"
    options = ("--split", "test", "--index", 2, "--columns", 30, "--scale", 1)
    assert _preview(dataset, "-o", file, *options).exit_code == 0
    sheet = np.array(Image.open(file))
    for t in (0, 17, 29):
        assert _contains(sheet, dataset.test.image[2][t])
    assert not _contains(sheet, dataset.test.image[1][29])


def test_a_gif_plays_every_frame_exactly(dataset, tmp_path):
    file = tmp_path / "film.gif"
    assert (
        _preview(dataset, "-o", file, "--index", "4:6", "--scale", 3, "--fps", 25).exit_code == 0
    )
    with Image.open(file) as film:
        assert film.info["loop"] == 0
        assert film.info["duration"] == 40
        pages = [np.array(page.convert("RGB")) for page in ImageSequence.Iterator(film)]
    assert len(pages) == 30
    frames = dataset.train.image[4:6]
    for page, left, right in zip(pages, *frames, strict=True):
        assert page.shape == (96, 3 * 65, 3)
        # two colours with their edges are a few more than 256 at times
        assert np.abs(page[::3, : 3 * 32 : 3].astype(int) - left).max() <= 4
        assert np.abs(page[::3, 3 * 33 :: 3].astype(int) - right).max() <= 4
        assert (page[1::3] == page[::3]).all()


def test_a_gif_that_stands_longer_than_it_can_say_is_refused():
    moving = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1).repeat(3, -1)
    assert pictures.gif(moving, 0.0016)
    with pytest.raises(RecipeError, match=r"fps: got 0.001, with which a picture stands for 1000"):
        pictures.gif(moving, 0.001)
    still = np.zeros((700, 1, 1, 3), dtype=np.uint8)
    with pytest.raises(RecipeError, match=r"fps: got 1, with which a picture stands for 700 s"):
        pictures.gif(still, 1)
    still[350:] = 1
    assert pictures.gif(still, 1)


def test_a_gif_of_few_colours_is_exact():
    frames = np.random.default_rng(0).choice(250, (5, 8, 9, 1)).astype(np.uint8).repeat(3, -1)
    with Image.open(io.BytesIO(pictures.gif(frames, 10, 2))) as film:
        for page, frame in zip(ImageSequence.Iterator(film), frames, strict=True):
            assert np.array_equal(np.array(page.convert("RGB"))[::2, ::2], frame)


def test_a_video_has_every_frame(dataset, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs physim[video]")
    file = tmp_path / "film.mp4"
    assert _preview(dataset, "-o", file, "--index", 0, "--scale", 4).exit_code == 0
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(file)]
    raw = subprocess.run(
        [*ffmpeg, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True
    )
    decoded = np.frombuffer(raw.stdout, np.uint8).reshape(30, 128, 128, 3)
    for frame, truth in zip(decoded, dataset.train.image[0], strict=True):
        error = frame[2::4, 2::4].astype(float) - truth
        assert np.sqrt((error**2).mean()) < 12  # chroma has half the resolution


def test_without_ffmpeg_the_extra_is_named(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(physim.RecipeError, match=r"physim\[video\]"):
        pictures.save(dataset, tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "film.webm"], "output: got 'film.webm', expected a name that ends in .png"),
        (["-o", "a.png", "--index", "20"], "index: got 20, expected 0 … 19 in split 'train'"),
        (["-o", "a.png", "--index", "-1"], "index: got -1, expected 0 … 19"),
        (["-o", "a.png", "--index", "two"], "--index: got 'two', expected a number or a range"),
        (["-o", "a.png", "--index", "5:5"], "--index: got '5:5'"),
        (["-o", "a.png", "--split", "dev"], "split: got 'dev'; known: train, test"),
        (["-o", "a.png", "--columns", "0"], "columns: got 0"),
        (["-o", "a.png", "--scale", "-2"], "scale: got -2"),
        (["-o", "a.gif", "--fps", "0"], "fps: got 0"),
        (["-o", "a.gif", "--fps", "nan"], "fps: got nan"),
        (["-o", "a.png", "--fps", "5"], "fps: got 5, but a sheet does not move"),
        (["-o", "a.png", "--scale", "100"], "would be 32,992 pixels large"),
        (["-o", "missing/a.png"], "output: cannot write 'missing/a.png'"),
    ],
)
def test_what_does_not_fit_ends_in_one_sentence(
    dataset, tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    status, message = _status(monkeypatch, capsys, dataset.path, *arguments)
    assert status == 2
    assert sentence in message
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_data_set_is_refused(tmp_path, monkeypatch, capsys):
    status, message = _status(monkeypatch, capsys, tmp_path, "-o", tmp_path / "a.png")
    assert status == 2
    assert "no manifest.json" in message


def test_a_recipe_of_a_stranger_ends_in_one_sentence(dataset, tmp_path, monkeypatch, capsys):
    shutil.copytree(dataset.path, tmp_path / "set")
    whole = manifest.read(tmp_path / "set")
    manifest.write(tmp_path / "set", whole.model_copy(update={"recipe": {"parameters": {}}}))
    status, message = _status(monkeypatch, capsys, tmp_path / "set", "-o", tmp_path / "a.png")
    assert status == 2
    assert "system: missing" in message


def test_an_existing_file_is_replaced_or_left_as_it_was(dataset, tmp_path):
    file = tmp_path / "sheet.png"
    file.write_bytes(b"old")
    with pytest.raises(physim.RecipeError):
        pictures.save(dataset, file, index=[99])
    assert file.read_bytes() == b"old"
    pictures.save(dataset, file, index=[1])
    assert file.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [file]


def test_a_title_wider_than_the_frames_fits(tmp_path):
    from physim.pictures import contact_sheet

    frames = np.zeros((1, 1, 8, 8, 3), np.uint8)
    sheet = np.asarray(contact_sheet(frames, title="three_body, train: 1 of 1 trajectories"))
    ink = np.argwhere((sheet[:20] < 100).all(-1))[:, 1]
    assert 200 < ink.max() < sheet.shape[1] - 2


def test_masses_of_many_bodies_are_a_range(tmp_path):
    from physim.pictures import _drawn_parameters

    settings = {"n": 1, "n_test": 0, "frames": 2, "resolution": 8, "out": tmp_path}
    dataset = physim.open(physim.render(system="lennard_jones", bodies=9, **settings).path)
    masses = dataset.train[0]["m"]
    assert len(masses) == 9
    words = _drawn_parameters(dataset, "train", 0).split("\n")
    assert f"m {masses.min():.2f} … {masses.max():.2f}" in words
