"""HGN: sizes of the paper, gradients everywhere, ablations, and the same loss compiled as
eager."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import physim
from hgn_train import checkpoint, models, train
from hgn_train.encoder import Moments
from hgn_train.images import pixels, stacked
from hgn_train.models.hgn import HGN, HGNSettings, kl_from_standard_normal
from hgn_train.presets import PRESETS, default, settings_of
from physim.errors import PhysimError

TINY = PRESETS["hgn"]["test"][0]
VARIANTS = {
    "elbo": {},
    "geco": {"objective": "geco"},
    "maps": {
        "state": "maps",
        "resolution": 16,
        "encoder": ((6,), (6,)),
        "hamiltonian": (6, 6),
        "objective": "geco",
    },
    "joint": {"separable": False, "integrator": "implicit_midpoint"},
    "joint-maps": {
        "state": "maps",
        "encoder": ((6,), (6,)),
        "hamiltonian": (6, 6),
        "separable": False,
        "integrator": "rk4",
    },
    "euler": {"integrator": "euler"},
    "yoshida4": {"integrator": "yoshida4", "substeps": 2},
    "deterministic": {"stochastic": False},
    "no-transform": {"transform": False},
    "both-ways": {"both_ways": True},
    "autoencoding": {"inference_frames": 10, "anchor": "first"},
    "some-frames": {"decoded": 4},
    "beta-delay": {"beta_delay": 5},
    "consistency": {"consistency": 0.1, "both_ways": True},
    "harmonic": {"harmonic": True},
    "moments": {"moments": 2},
    "standardize": {"standardize": True, "precise_encoder": True},
    "harmonic-joint": {"harmonic": True, "separable": False, "integrator": "implicit_midpoint"},
    "shuffle": {"decoder": ((8,),), "shuffle": 2},
}


def tiny(**changes):
    torch.manual_seed(0)
    return HGN(HGNSettings(**(TINY | changes)))


def batch(settings, n=4):
    generator = torch.Generator().manual_seed(3)
    shape = (n, settings.frames, settings.resolution, settings.resolution, 3)
    return {"image": torch.randint(256, shape, dtype=torch.uint8, generator=generator)}


def draws(model, n=4):
    return model.draws(n, torch.Generator().manual_seed(4))


@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_reaches_every_parameter(name):
    model = tiny(**VARIANTS[name])
    model.updates += 1  # beyond a delay, beta is above 0
    out = model(batch(model.settings), draws(model))
    out["loss"].backward()
    for key, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        assert weight.grad is not None, key
        assert weight.grad.abs().max() > 0, key
    assert all(torch.isfinite(value) for value in out.values())


def test_sizes_of_the_authors_code():
    """Parameters as counted there for 31 frames; theirs has one more, GECO's."""
    model = HGN(HGNSettings(frames=31, inference_frames=31, objective="elbo"))
    counts = {
        name: sum(w.numel() for w in part.parameters()) for name, part in model.named_children()
    }
    assert counts["encoder"] == 208_864
    assert counts["transform"] == 147_744
    assert counts["hamiltonian"] == 2 * 46_049
    assert counts["decoder"] == 196_835
    assert sum(counts.values()) == 645_541


def test_plus_has_the_sizes_of_the_authors_code():
    """The decoder's slope and the encoder's widths as there: 64, 64 a block, the last 64 =
    2·32."""
    model = HGN(settings_of("plus", "").network)
    energies = model.hamiltonian
    assert sum(w.numel() for w in energies.kinetic.parameters()) == 192_751
    assert sum(w.numel() for w in model.decoder.parameters()) == 201_187
    assert sum(w.numel() for w in model.encoder.parameters()) == 295_872


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_whole_equals_eager():
    """One graph, no break, of all that a loss may have besides what `test_step.py` compiles; the
    order of sums may differ, in float32."""
    changes = VARIANTS["consistency"] | VARIANTS["some-frames"] | {"frames": 5}
    eager, same = tiny(**changes), tiny(**changes)
    compiled = torch.compile(same, fullgraph=True, backend="aot_eager")
    given, drawn = batch(eager.settings), draws(eager)
    expected, found = eager(given, drawn), compiled(given, drawn)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-7)  # float32 inside
    expected["loss"].backward()
    found["loss"].backward()
    for (key, a), b in zip(eager.named_parameters(), same.parameters(), strict=True):
        if a.grad is not None:
            scale = a.grad.abs().max() + 1e-12
            assert (a.grad - b.grad).abs().max() <= 1e-4 * scale, key


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_by_inductor_equals_eager():
    eager, same = tiny(), tiny()
    compiled = torch.compile(same, fullgraph=True)
    given, drawn = batch(eager.settings), draws(eager)
    expected, found = eager(given, drawn)["loss"], compiled(given, drawn)["loss"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_a_batch_can_be_overfitted(tiny_data):
    import physim

    model = tiny(stochastic=False, beta=0.0)
    given = {"image": torch.from_numpy(physim.open(tiny_data).train.image[:4][:, :10])}
    model.prepare(given)
    average = ((pixels(given["image"]) - pixels(given["image"]).mean((0, 1))) ** 2).mean().item()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(250):
        out = model(given, {})
        optimizer.zero_grad()
        out["loss"].backward()
        optimizer.step()
    assert out["error"].item() < 0.15 * average


def test_rollout_is_chronological_and_reverses():
    model = tiny().eval()
    given = batch(model.settings)["image"]
    with torch.no_grad():
        z, _ = model.infer(given)
        whole = model.rollout(z, 5, 4)
        forward = model.rollout(z, 5)
        assert whole.images.shape[:2] == (4, 10)
        torch.testing.assert_close(whole.q[:, 4:], forward.q)
        # from the earliest state forward again, through the same states
        q, _ = model.unroll(whole.q[:, 0], whole.p[:, 0], model.settings.dt, 9)
        torch.testing.assert_close(q, whole.q, rtol=1e-4, atol=1e-5)  # float32
        half = model.rollout(z, 10, 0, speed=0.5)
    assert (half.q[:, 2] - forward.q[:, 1]).abs().max() < 1e-6
    assert (half.q[:, 1] - forward.q[:, 1]).abs().max() > 1e-3
    assert whole.energy.shape == (4, 10)


def test_evaluation_draws_nothing_at_random():
    model = tiny().eval()
    given = batch(model.settings)["image"]
    with torch.no_grad():
        first, second = (model.rollout(model.infer(given)[0], 3).images for _ in range(2))
    assert torch.equal(first, second)


def test_frames_are_stacked_in_time_then_colour():
    image = torch.zeros(1, 2, 1, 1, 3, dtype=torch.uint8)
    image[0, 1, 0, 0, 2] = 255
    assert stacked(image).flatten().tolist() == [0, 0, 0, 0, 0, 1]


def test_moments_are_sums_over_pixels():
    """Two pixels that are lit, one below the other, give the polynomials at their centres."""
    moments = Moments(frames=2, channels=1, size=8, degree=2)
    frames = torch.zeros(1, 2, 8, 8)
    frames[0, 1, 5, 2], frames[0, 1, 6, 2] = 3.0, 2.0
    x, y, z = 2.5 / 8 * 2 - 1, 5.5 / 8 * 2 - 1, 6.5 / 8 * 2 - 1
    first = torch.tensor([1, x, y, (3 * x**2 - 1) / 2, x * y, (3 * y**2 - 1) / 2])
    second = torch.tensor([1, x, z, (3 * x**2 - 1) / 2, x * z, (3 * z**2 - 1) / 2])
    expected = torch.zeros(2, 6)
    expected[1] = 3 * first + 2 * second
    of_products = torch.zeros(5, 2, 3)
    of_products[0, 1] = 9 * first[:3] + 4 * second[:3]
    of_products[2, 1] = 6 * first[:3]
    everything = torch.cat([expected.flatten(), of_products.flatten()])
    torch.testing.assert_close(moments.raw(frames), everything[None])


def test_whitened_moments_show_small_velocities():
    """A body at x moves by 0.02 x plus up to ±0.01, and is drawn as a soft disc.

    That ±0.01 is a 1e-4th of the variance; whitened, it is a direction as large as x itself.
    """
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(500, generator=generator) - 0.5
    own = 0.02 * torch.rand(500, generator=generator) - 0.01
    places = torch.stack([x, x * 1.02 + own], 1)
    along = (torch.arange(32) + 0.5) / 16 - 1
    body = torch.exp(-((along - places[..., None]) ** 2) / 0.02)
    frames = body[:, :, None] * body[0, 0, :, None]
    moments = Moments(frames=2, channels=1, size=32, degree=1)
    moments.prepare(frames)
    seen = moments(frames)[:, : moments.values]
    torch.testing.assert_close(seen.mean(0), torch.zeros(6), atol=1e-3, rtol=0)
    covariance = seen.T @ seen / len(seen)
    torch.testing.assert_close(covariance.diag()[-2:], torch.ones(2), atol=0.2, rtol=0)
    assert (covariance - torch.diag(covariance.diag())).abs().max() < 1e-2
    directions = torch.cat([seen[:, -2:].T, own[None]])
    assert torch.corrcoef(directions)[2, :2].abs().max() > 0.99


def test_moments_of_products_are_what_the_values_do_not_say():
    generator = torch.Generator().manual_seed(5)
    frames = torch.rand(400, 2, 8, 8, generator=generator)
    moments = Moments(frames=2, channels=1, size=8, degree=1)
    moments.prepare(frames)
    first, second = moments(frames).split([moments.values, moments.products], 1)
    assert (first.T @ second / len(frames)).abs().max() < 1e-3
    torch.testing.assert_close(second.std(0), torch.full((30,), 0.1), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    "changes", [{"moments": 9}, {"moments": -1}, {"state": "maps", "moments": 1}]
)
def test_moments_that_make_no_model_are_refused(changes):
    with pytest.raises(PhysimError, match="moments: got"):
        HGNSettings(**(TINY | changes))


def test_standardized_frames_have_mean_0_and_deviation_1():
    model = tiny(standardize=True)
    given = batch(model.settings, 64)
    given["image"] = 100 + given["image"] // 16
    model.prepare(given)
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.infer(given["image"])
    assert abs(seen[0].mean().item()) < 0.05
    assert abs(seen[0].std().item() - 1) < 0.1


def test_divergence_is_that_of_torch_distributions():
    mean, log_sigma = torch.randn(5, 3, 2), torch.randn(5, 3, 2)
    normal = torch.distributions.Normal
    truth = torch.distributions.kl_divergence(normal(mean, log_sigma.exp()), normal(0.0, 1.0))
    torch.testing.assert_close(kl_from_standard_normal(mean, log_sigma), truth.sum((1, 2)))


def test_frames_that_are_no_bytes_are_refused():
    model = tiny()
    frames = batch(model.settings)["image"][:, :3]
    with pytest.raises(PhysimError, match=r"images: got torch.float32, expected torch.uint8"):
        model.encode(frames / 255)


@torch.no_grad()
def test_both_ways_reverses_half_of_the_batch():
    """The second half is inferred from its last frames, and compared from last to first."""
    model = tiny(both_ways=True, stochastic=False).eval()
    s = model.settings
    given = batch(s)["image"]
    half, n = len(given) // 2, s.inference_frames
    errors = []
    for images, seen, speed in (
        (given[:half], given[:half, :n], 1.0),
        (given[half:].flip(1), given[half:, -n:], -1.0),
    ):
        rollout = model.rollout(
            model.encode(seen)[0], s.frames - 1 - s.inferred, s.inferred, speed=speed
        )
        errors.append(((rollout.images - pixels(images)) ** 2).mean())
    error = model({"image": given}, {})["error"]
    assert float(error) == pytest.approx(float(sum(errors) / 2), rel=1e-5)
    assert float(error) != pytest.approx(float(errors[0]), rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inference_frames": 11}, "inference_frames: got 11, expected from 1 to 10"),
        ({"decoded": 11}, "decoded: got 11"),
        ({"activation": "relu"}, "activation: got 'relu'; known: softplus"),
        ({"state": "graph"}, "state: got 'graph', expected one of maps, vector"),
        ({"transform": False, "latent_size": 9}, "latent_size: got 9"),
        ({"both_ways": True, "anchor": "last"}, "both_ways"),
        ({"separable": False, "integrator": "leapfrog"}, "needs H = T"),
        ({"resolution": 18}, "resolution: got 18, expected a multiple of 4"),
        ({"decoder": ((8,), ())}, "decoder: got a block without widths"),
        ({"dt": 0.0}, "dt: got 0.0"),
    ],
)
def test_settings_that_make_no_model(changes, message):
    with pytest.raises(PhysimError, match=message):
        HGNSettings(**(TINY | changes))


def test_a_model_without_presets_has_its_defaults(monkeypatch):
    mine = dataclasses.replace(models.find("hgn"), name="mine")
    monkeypatch.setitem(models.MODELS, "mine", mine)
    chosen = settings_of(default("mine"), "data", "mine")
    assert chosen.network == HGNSettings()
    with pytest.raises(PhysimError, match="preset: got 'small'; known: paper"):
        settings_of("small", "data", "mine")


@pytest.mark.parametrize("preset", PRESETS["hgn"])
def test_presets_build_and_survive_json(preset):
    from hgn_train.settings import RunSettings

    chosen = settings_of(preset, "somewhere")
    assert RunSettings.from_json(chosen.to_json(), "test") == chosen
    assert json.loads(chosen.to_json())["preset"] == preset
    models.find("hgn").build(dataclasses.replace(chosen.network))


@pytest.mark.parametrize("variant", ["standardize", "moments", "maps"])
def test_preparing_stays_on_the_device_of_the_model(variant):
    """Of the devices that every machine has only `meta` refuses what is on another."""
    model = tiny(**VARIANTS[variant]).to("meta")
    shape = (4, model.settings.frames, model.settings.resolution, model.settings.resolution, 3)
    model.prepare({"image": torch.empty(shape, dtype=torch.uint8, device="meta")})
    assert all(tensor.is_meta for tensor in model.state_dict().values())


@pytest.mark.parametrize(
    ("variant", "names"),
    [
        ("standardize", {"centre", "deviation"}),
        ("moments", {"encoder.moments.mean", "encoder.moments.whitening"}),
        ("maps", set()),
    ],
)
def test_preparing_changes_what_it_should(variant, names):
    """The decoder's last layer and what looks at the frames, and no shape."""
    model = tiny(**VARIANTS[variant])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.prepare(batch(model.settings, 64))
    after = model.state_dict()
    assert {name: t.shape for name, t in after.items()} == {n: t.shape for n, t in before.items()}
    changed = {name for name, t in after.items() if not torch.equal(t, before[name])}
    assert changed == names | {"decoder.out.bias", "decoder.out.weight"}
    assert all(torch.isfinite(t).all() for t in after.values())


@torch.no_grad()
@pytest.mark.parametrize("name", ["elbo", "maps", "shuffle"])
def test_it_starts_at_the_mean_colour_with_narrow_posteriors(name):
    model = tiny(**VARIANTS[name], log_sigma=-3.0)
    given = batch(model.settings)
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8)
    given["image"] = colour + given["image"] // 32  # 0 to 7, 3.5 on the average
    model.prepare(given)
    z, log_sigma = model.infer(given["image"])
    drawn = model.rollout(z, 2).images
    expected = ((colour + 3.5) / 255)[:, None, None].expand_as(drawn)
    torch.testing.assert_close(drawn, expected, rtol=0, atol=0.1)
    torch.testing.assert_close(
        drawn.mean((0, 1, 3, 4)), expected[0, 0, :, 0, 0], rtol=0, atol=0.03
    )
    assert (log_sigma + 3).abs().max() < 0.3
    assert z.std() > 3 * log_sigma.std()  # the mean is not narrowed


def test_consistency_of_one_trajectory_is_refused():
    """It has no variance; a loss that is not a number would stop the training later."""
    model = tiny(**VARIANTS["consistency"])
    given = batch(model.settings, 1)
    with pytest.raises(PhysimError, match="batch_size: got 1 trajectory a process, expected at"):
        model(given, draws(model, 1))
    assert model(batch(model.settings, 2), draws(model, 2))["inconsistency"] > 0


def test_the_examples_of_the_page_run(tiny_run, tmp_path, monkeypatch, capsys):
    """docs/models.md, with few updates."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "MODELS", dict(models.MODELS))
    shutil.copytree(tiny_run, "runs/mass_spring-small")
    physim.render("hgn/mass_spring", "datasets/hgn/mass_spring", n=40, n_test=4)
    flow = settings_of("test", "circle", "nhf", train={"steps": 2})
    train.fit(flow, Path("runs/circle"), accelerator="cpu")
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 4
    scope = {}
    for example in examples:
        exec(example.replace('"steps": 1000', '"steps": 2'), scope)  # noqa: S102 - our own page
    model, mean = scope["model"], scope["mean"]
    with torch.no_grad():
        rollout = model.rollout(mean, 20)
    for found, expected in (
        (scope["pictures"], rollout.images),
        (scope["energy"], rollout.energy),
    ):
        assert torch.allclose(found, expected[:, 1:], atol=1e-5)
    assert scope["outcome"].step == 2
    own, chosen, _ = checkpoint.load_model(Path("runs/plain"), torch.device("cpu"))
    assert chosen.network.resolution == 32
    assert own.decoder(torch.zeros(5, 16)).shape == (5, 3, 32, 32)
    assert type(own).__name__ == "PlainHGN"


@pytest.mark.parametrize(
    "name", [name for name in models.MODELS if "test" in PRESETS.get(name, ())]
)
def test_what_is_drawn_for_a_batch_can_be_divided_among_processes(name):
    """Each takes every other entry of the first axis."""
    found = models.find(name)
    model = found.build(settings_of("test", "", name).network)
    for drawn in model.draws(6, torch.Generator().manual_seed(0)).values():
        assert drawn.shape[0] == 6
