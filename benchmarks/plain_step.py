"""The loss of HGN as its papers write it, plainly: what a training step is compared with.

Gradients of H by autograd, so that the loss differentiates them again; leapfrog as textbooks have
it; a frame at a time through a decoder that upsamples and then convolves; channels first. It
shares weights with the model and none of its shortcuts, so tests take it as the truth in float64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hgn_train.convolution import by_library
from hgn_train.decoder import Decoder
from hgn_train.models.hgn import HGN

State = tuple[Tensor, Tensor]


def loss(model: HGN, batch: dict[str, Tensor], draws: dict[str, Tensor]) -> Tensor:
    """Loss of a batch, for `objective` geco or elbo and the integrators euler and leapfrog.

    Arguments:
        model: With its weights, in the precision that is computed in.
        batch: `image`, (batch, frame, height, width, channel) uint8.
        draws: `noise` of the model's draws.

    Returns:
        A scalar.
    """
    s = model.settings
    kind = model.centre.dtype
    image = batch["image"].to(kind).permute(0, 1, 4, 2, 3) / 255
    colour = model.centre[:, None, None]
    frames = [
        (image[:, t] - colour) / model.deviation if s.standardize else image[:, t]
        for t in range(s.inference_frames)
    ]
    with by_library():
        mean, log_sigma = model.encoder(torch.cat(frames, 1))
    z = mean + torch.exp(log_sigma) * draws["noise"].to(kind) if s.stochastic else mean
    q, p = model.transform(z).chunk(2, 1)

    later, earlier = [], []
    state: State = (q, p)
    for _ in range(s.frames - 1 - s.inferred):
        state = step(model, state, s.dt)
        later.append(state[0])
    state = (q, p)
    for _ in range(s.inferred):
        state = step(model, state, -s.dt)
        earlier.append(state[0])
    qs = [*reversed(earlier), q, *later]
    errors = [((frame(model.decoder, q) - image[:, t]) ** 2).mean() for t, q in enumerate(qs)]
    error = torch.stack(errors).mean()
    divergence = ((mean**2 + torch.exp(2 * log_sigma) - 1) / 2 - log_sigma).flatten(1).sum(1)
    weighed = divergence.mean() / (s.frames * s.resolution**2 * s.channels)
    if not s.stochastic:
        weighed = torch.zeros_like(weighed)
    if model.geco is None:
        return error + s.beta * weighed
    multiplier = functional.softplus(model.geco.variable)
    constraint = error - s.kappa
    return multiplier.detach() * constraint + weighed - multiplier * constraint.detach()


def step(model: HGN, state: State, dt: float) -> State:
    """A step of Euler's method or of leapfrog."""
    q, p = state
    potential, kinetic = model.hamiltonian.potential, model.hamiltonian.kinetic
    if model.settings.integrator == "euler":
        return q + dt * slope(kinetic, p), p - dt * slope(potential, q)
    p = p - dt / 2 * slope(potential, q)
    q = q + dt * slope(kinetic, p)
    return q, p - dt / 2 * slope(potential, q)


def slope(energy: Any, x: Tensor) -> Tensor:
    """Gradient of an energy, with a graph."""
    x = x if x.requires_grad else x.requires_grad_()
    return torch.autograd.grad(energy(x).sum(), x, create_graph=True)[0]


def frame(decoder: Decoder, q: Tensor) -> Tensor:
    """Positions drawn: upsampling by 2 and convolutions, three times, then a sigmoid."""
    if decoder.project is not None:
        q = decoder.project(q).unflatten(1, (-1, decoder.size, decoder.size))
    x = torch.cat([decoder.constant.expand(len(q), -1, -1, -1), q], 1)
    for layers in decoder.blocks:
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        for layer in layers:
            x = functional.conv2d(x, layer.weight, layer.bias, padding=1)
            x = functional.leaky_relu(x, decoder.slope)
    x = functional.conv2d(x, decoder.out.weight, decoder.out.bias, padding=1)
    return torch.sigmoid(functional.pixel_shuffle(x, decoder.shuffle))
