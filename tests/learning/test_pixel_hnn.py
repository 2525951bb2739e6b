"""Pixel HNN: its loss as written in the paper, its rollouts, and its place beside the HGN."""

import json
import shutil

import numpy as np
import pytest
import torch

from hgn_train import cli, train
from hgn_train.models.pixel_hnn import PixelHNN, PixelHNNSettings, open_neighbours
from hgn_train.presets import PRESETS, settings_of
from physim.command_line import run as run_command
from physim.errors import PhysimError
from physim.scoring import average_image

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric")

TINY = PRESETS["pixel-hnn"]["test"][0]
KINDS = ("dense", "convolutional")


def tiny(kind="dense", **changes):
    torch.manual_seed(0)
    return PixelHNN(PixelHNNSettings(**(TINY | {"autoencoder": kind} | changes)))


def frames(n=5, time=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (n, time, 16, 16, 3), dtype=torch.uint8, generator=generator)


def run(capsys, *words):
    capsys.readouterr()
    status = run_command(cli.cli, [str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def evaluated(tiny_data, tmp_path_factory):
    """A run with the dense autoencoder."""
    folder = tmp_path_factory.mktemp("pixels") / "run"
    train.fit(settings_of("test", str(tiny_data), "pixel-hnn"), folder, accelerator="cpu")
    assert run_command(cli.cli, ["evaluate", str(folder), "--n", "32", "--extra", "4"]) == 0
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_that_of_the_paper(kind):
    """Written out once more, with the derivatives of H by autograd."""
    model, images_ = tiny(kind, canonical=0.3, dynamics=0.7), frames()
    out = model({"image": images_}, {})
    pixels = images_.permute(0, 1, 4, 2, 3).float() / 255
    x, x_next = pixels[:, :2].flatten(1, 2), pixels[:, 1:].flatten(1, 2)
    z, z_next = model.autoencoder.encode(x), model.autoencoder.encode(x_next)
    q, p = z[:, :1].detach().requires_grad_(), z[:, 1:].detach().requires_grad_()
    dq, dp = torch.autograd.grad(model.hamiltonian(q, p).sum(), (q, p))
    error = ((model.autoencoder.decode(z) - x) ** 2).mean()
    canonical = ((z[:, 1] - (z_next[:, 0] - z[:, 0])) ** 2).mean()
    dynamics = ((z_next - z - torch.cat([dp, -dq], 1)) ** 2).mean()
    torch.testing.assert_close(out["loss"], error + 0.3 * canonical + 0.7 * dynamics)
    torch.testing.assert_close(out["error"], error.detach())
    torch.testing.assert_close(out["canonical"], canonical.detach())
    torch.testing.assert_close(out["dynamics"], dynamics.detach())


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_every_parameter(kind):
    model = tiny(kind)
    model({"image": frames()}, {})["loss"].backward()
    for name, weight in model.named_parameters():
        assert not weight.requires_grad or weight.grad.abs().max() > 0, name


def test_the_layers_are_the_papers():
    """Two hidden layers with residuals; the paper's frames have one channel of 28×28."""
    model = PixelHNN(PixelHNNSettings(channels=1, resolution=28, decoder=((1,),)))
    shapes = [tuple(w.shape) for n, w in model.named_parameters() if n.endswith("weight")]
    hidden = [(200, 200), (200, 200)]
    assert shapes == [
        (200, 1568),
        *hidden,
        (2, 200),
        (200, 2),
        *hidden,
        (1568, 200),
        (200, 2),
        (200, 200),
        (1, 200),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_rollouts_keep_h_reverse_and_change_speed(kind):
    model = tiny(kind, state_size=2, substeps=8).double()
    for weight in model.hamiltonian.parameters():
        weight.data *= 0.5  # slow enough for eight steps a frame
    z = torch.randn(3, 4, dtype=torch.float64)
    with torch.no_grad():
        out = model.rollout(z.float().double(), 8)
        assert out.images.shape == (3, 9, 3, 16, 16)
        assert (out.energy - out.energy[:, :1]).abs().max() < 1e-5
        assert (out.q - out.q[:, :1]).abs().max() > 0.1
        end = torch.cat([out.q[:, -1], out.p[:, -1]], 1)
        back = model.rollout(end, 0, 8)
        torch.testing.assert_close(back.q, out.q, rtol=0, atol=1e-5)
        fast = model.rollout(z, 4, speed=2.0)
        torch.testing.assert_close(fast.q, out.q[:, ::2], rtol=0, atol=1e-4)
    assert torch.equal(out.images[:, 0], model.autoencoder.decode(z.float().double())[:, :3])


@pytest.mark.parametrize("substeps", [1, 3])
def test_a_frame_is_a_unit_of_time(substeps):
    """As in the loss, where dz/dt is what a state moves in a frame."""
    model = tiny(state_size=2, substeps=substeps).double()
    z, short = torch.randn(3, 4, dtype=torch.float64), 1e-4
    q, p = z.chunk(2, 1)
    dq, dp = model.hamiltonian.gradients(q, p)
    with torch.no_grad():
        out = model.rollout(z, 1, 1, speed=short)
    for found, rate in ((out.q, dp), (out.p, -dq)):
        slope = (found[:, 2] - found[:, 0]) / (2 * short)
        torch.testing.assert_close(slope, rate, rtol=0, atol=1e-6)  # central: an error of 1e-8


def test_a_state_is_that_of_the_first_frames():
    model, given = tiny(), frames(2, 10)
    other = given.clone()
    other[:, 2:] = 255 - other[:, 2:]
    assert torch.equal(model.infer(given)[0], model.infer(other)[0])
    other[:, 1] = 255 - other[:, 1]
    assert not torch.equal(model.infer(given)[0], model.infer(other)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_at_the_mean_colour(kind):
    """In every frame that is decoded, and where nothing has been learned about the states."""
    model, given = tiny(kind), frames()
    given[..., 0] //= 4  # little red
    model.prepare({"image": given})
    drawn = model.autoencoder.decode(torch.zeros(1, 2)).unflatten(1, (2, 3))
    colour = (given.double() / 255).mean((0, 1, 2, 3)).float()
    assert colour[0] < 0.2 < colour[1]
    expected = colour[:, None, None].expand(1, 2, 3, 16, 16)
    torch.testing.assert_close(drawn, expected, rtol=0, atol=0.05)


def test_trains_on_neighbours_and_is_judged_on_rollouts(tiny_data):
    material = open_neighbours(str(tiny_data), PixelHNNSettings(**TINY))
    cpu = torch.device("cpu")
    assert material.train(("image",), cpu, 8, 0).batch(0)["image"].shape == (8, 3, 16, 16, 3)
    held_out = material.held_out(("image",), cpu, 0, 5)
    assert held_out.rows(torch.arange(5))["image"].shape == (5, 10, 16, 16, 3)
    split = material.source.dataset.train
    average = split.image[:].astype(float).mean((0, 1)) / 255
    assert np.allclose(average_image(material.source.dataset), average)
    truth = material.source.dataset.test.image[-5:][:, :10] / 255
    reference = material.reference(material.train(("image",), cpu, 8, 0), held_out)
    assert reference == pytest.approx(((truth - average) ** 2).mean(), rel=1e-4)


def test_a_batch_can_be_overfitted():
    """Three windows of noise, ten times nearer than their mean, which is where it starts."""
    model, batch = tiny(), {"image": frames(3)}
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        out = model(batch, {})
        out["loss"].backward()
        optimizer.step()
    mean = (batch["image"][:, :2].float() / 255).var(0, correction=0).mean().item()
    assert out["error"].item() < 0.1 * mean
    assert out["canonical"].item() < 0.01


def test_one_report_and_one_table_with_hgn(evaluated, tiny_run, tmp_path, capsys):
    page = (evaluated / "report.html").read_text()
    assert "share explained" in page
    assert "N(0, 1)" not in page  # it has no prior
    shutil.copytree(tiny_run, tmp_path / "hgn")
    assert run(capsys, "evaluate", tmp_path / "hgn", "--n", 16, "--extra", 4)[0] == 0
    status, out, err = run(capsys, "table", evaluated, tmp_path / "hgn")
    assert status == 0, err
    assert "| mass_spring | pixel-hnn | test | 0 | 2 of 10 |" in out
    assert "| mass_spring | hgn | test | 0 | 3 of 10 |" in out
    assert out.count("| system | model |") == 2


def test_rollout_and_sample_commands(evaluated, tmp_path, capsys):
    status, _, err = run(capsys, "rollout", evaluated, "--backward", "-o", tmp_path / "a.npz")
    assert status == 0, err
    status, _, err = run(capsys, "sample", evaluated, "-n", 3, "-o", tmp_path / "b.npz")
    assert status == 0, err
    status, _, err = run(
        capsys, "sample", evaluated, "--prior", "normal", "-o", tmp_path / "c.npz"
    )
    assert status == 2
    assert "prior: got 'normal'" in err
    assert err.count("\n") == 1


def test_input_pixels_is_this_model(tiny_data, tmp_path, capsys):
    words = ["--data", tiny_data, "--preset", "test", "--steps", 2, "--device", "cpu", "-q"]
    for name, chosen in (("a", ["--input", "pixels"]), ("b", ["--set", "input=pixels"])):
        out = tmp_path / name
        status, _, err = run(capsys, "fit", "--model", "hnn", *chosen, *words, "--out", out)
        assert status == 0, err
        assert json.loads((out / "config.json").read_text())["model"] == "pixel-hnn"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "relu"}, "activation: got 'relu'; known: softplus"),
        ({"autoencoder": "sparse"}, "autoencoder: got 'sparse', expected one of dense"),
        ({"inference_frames": 1}, "inference_frames: got 1, expected from 2 to 9"),
        ({"integrator": "leapfrog"}, "needs H = T"),
        ({"dynamics": -1.0}, "dynamics: got -1.0"),
        ({"resolution": 18}, "resolution: got 18, expected a multiple of 4"),
        ({"decoder": ((8,), ())}, "decoder: got a block without widths"),
        *(
            ({name: 0}, f"^{name}: got 0, expected a number from 1$")
            for name in (
                "resolution",
                "channels",
                "state_size",
                "width",
                "maps",
                "substeps",
                "shuffle",
            )
        ),
        ({"canonical": -0.5}, "canonical: got -0.5, expected a number from 0"),
        ({"inference_frames": 10}, "inference_frames: got 10, expected from 2 to 9"),
        ({"encoder": ((8,), ())}, "encoder: got"),
    ],
)
def test_settings_that_make_no_model(changes, message):
    with pytest.raises(PhysimError, match=message):
        PixelHNNSettings(**(TINY | changes))
