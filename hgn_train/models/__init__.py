"""The models. A new one is one file and one line here."""

from __future__ import annotations

from hgn_train import images, points, states
from hgn_train.models import hgn_settings, pixel_hnn
from hgn_train.models.hgn import HGN, HGNSettings
from hgn_train.models.hnn import StateSettings, build_hnn, build_mlp
from hgn_train.models.model import Kind, Model
from hgn_train.models.nhf import NHF, NHFSettings
from hgn_train.models.pixel_hnn import PixelHNN, PixelHNNSettings, open_neighbours
from physim.errors import PhysimError, unknown

MODELS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="hgn",
            settings=HGNSettings,
            build=HGN,
            paper="Toth et al. (2019), arXiv 1909.13789",
            open=images.open_images,
            adapt=images.adapt,
            evaluation="images",
            needs=hgn_settings.NEEDS,
        ),
        Kind(
            name="hnn",
            settings=StateSettings,
            build=build_hnn,
            paper="Greydanus et al. (2019), arXiv 1906.01563",
            open=states.open_states,
            adapt=states.adapt,
            evaluation="states",
        ),
        Kind(
            name="pixel-hnn",
            settings=PixelHNNSettings,
            build=PixelHNN,
            paper="Greydanus et al. (2019), section 5",
            open=open_neighbours,
            adapt=images.fit_frames,
            evaluation="images",
            needs=pixel_hnn.NEEDS,
        ),
        Kind(
            name="mlp",
            settings=StateSettings,
            build=build_mlp,
            paper="the baseline of Greydanus et al. (2019)",
            open=states.open_states,
            adapt=states.adapt,
            evaluation="states",
        ),
        Kind(
            name="nhf",
            settings=NHFSettings,
            build=NHF,
            paper="Toth et al. (2019), arXiv 1909.13789",
            open=points.open_points,
            adapt=points.adapt,
            evaluation="densities",
        ),
    )
}

__all__ = ["INPUTS", "MODELS", "Kind", "Model", "find", "that_sees"]

INPUTS = {"images": "pixels", "states": "state"}
"""What a model is shown, in a word, by the module that judges it."""


def find(name: str) -> Kind:
    """The model of that name.

    Arguments:
        name: One of `MODELS`.

    Returns:
        Its line in the list.

    Raises:
        PhysimError: There is none of that name.

    Example:
        >>> find("hgn").settings().integrator
        'leapfrog'
    """
    if name not in MODELS:
        raise PhysimError(unknown("model", name, MODELS))
    return MODELS[name]


def that_sees(name: str, wanted: str) -> str:
    """The variant of a model that is shown something else.

    Arguments:
        name: One of `MODELS`.
        wanted: `pixels` or `state`.

    Returns:
        Its name.

    Raises:
        PhysimError: The model has no such variant.

    Example:
        >>> that_sees("hnn", "state")
        'hnn'
    """
    variants = {
        INPUTS.get(MODELS[variant].evaluation, ""): variant
        for variant in (find(name).name, f"pixel-{name}")
        if variant in MODELS
    }
    if wanted not in variants:
        known = " or ".join(filter(None, variants)) or "none, as it sees points,"
        raise PhysimError(f"input: got '{wanted}', expected {known} for {name}")
    return variants[wanted]
