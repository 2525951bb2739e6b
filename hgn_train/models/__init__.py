"""The models. A new one is one file and one line here."""

from __future__ import annotations

from hgn_train import images
from hgn_train.models.hgn import HGN, HGNSettings
from hgn_train.models.model import Kind, Model
from physim.errors import PhysimError, unknown

MODELS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "hgn",
            HGNSettings,
            HGN,
            "Toth et al. (2019), arXiv 1909.13789",
            images.open_images,
            images.adapt,
            "images",
        ),
    )
}

__all__ = ["MODELS", "Kind", "Model", "find"]


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
