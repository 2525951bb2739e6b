"""xarray: named dimensions, coordinates, units; data are read only when needed.

Where dask is installed the arrays are dask arrays with chunks along the trajectories; else
xarray's own lazy indexing reads what is selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from physim.errors import RecipeError

if TYPE_CHECKING:
    import xarray

    from physim.dataset import Dataset
    from physim.shards.lazy import LazyArray
    from physim.shards.read import Split

CHUNK = 500
"""Trajectories a dask chunk: 46 MB of frames at the default settings."""


def to_xarray(dataset: Dataset, split: str = "train") -> xarray.Dataset:
    """A split as an `xarray.Dataset`.

    Arguments:
        dataset: An open data set.
        split: Name of a split.

    Returns:
        Dimensions `trajectory`, `time`, `y`, `x`, `channel`, `coordinate`, … with coordinates;
        `unit` and `description` of each array as attributes, the recipe as attribute of the whole.

    Raises:
        RecipeError: xarray is not installed, or there is no such split.
    """
    try:
        import xarray
    except ImportError:
        raise RecipeError("xarray is not installed; pip install 'physim[xarray]'") from None
    source = dataset.split(split)
    variables = {}
    for name in source.names:
        array = source.array(name)
        if name == "index":
            continue
        attributes = {"units": array.unit, "description": array.description}
        variables[name] = (_dimensions(array), _lazy(array), attributes)
    return xarray.Dataset(
        variables,
        coords=_coordinates(dataset, source),
        attrs={key: value for key, value in source.attributes.items() if isinstance(value, str)},
    )


def _dimensions(array: LazyArray) -> tuple[str, ...]:
    """Its axes; `component` takes the name of the parameter, whose length it has."""
    return tuple(
        f"{array.name}_component" if axis == "component" else axis for axis in array.dimensions
    )


def _coordinates(dataset: Dataset, source: Split) -> dict[str, Any]:
    coords: dict[str, Any] = {
        "trajectory": ("trajectory", source.index[:], {"description": "Number in the split"}),
        "time": ("time", dataset.times, {"units": "natural units"}),
        "channel": ("channel", ["red", "green", "blue"]),
        "coordinate": ("coordinate", _coordinate_names(source.q.shape[-1], dataset)),
    }
    world = _pixel_centres(dataset.settings, source.image.shape[2])
    if world is not None:
        about = {"units": "natural units", "description": "Centre of the pixel in the world"}
        coords["x"] = ("x", world, about)
        coords["y"] = ("y", world[::-1], about)
    return coords


def _pixel_centres(settings: dict[str, Any], side: int) -> np.ndarray | None:
    """Where columns are in the world; None where the canvas moves or the style says nothing."""
    half_width, style = settings.get("half_width"), settings.get("style")
    if not isinstance(half_width, int | float) or settings.get("canvas_offset"):
        return None
    if style == "hgn":
        return ((np.arange(side) + 0.5) / side * 2 - 1) * half_width
    return np.linspace(-half_width, half_width, side) if style == "dm" else None


def _coordinate_names(d: int, dataset: Dataset) -> list[str]:
    """x1, y1, x2, … for bodies in the plane, else q1, q2, …."""
    name = str(dataset.settings.get("system", ""))
    if d % 2 == 0 and (name.endswith("body") or name == "lennard_jones"):
        return [f"{axis}{body + 1}" for body in range(d // 2) for axis in "xy"]
    return [f"q{i + 1}" for i in range(d)]


def _lazy(array: LazyArray) -> Any:
    """A dask array, or what xarray indexes lazily by itself."""
    try:
        import dask.array
    except ImportError:
        return _backend_array(array)
    chunks = (min(CHUNK, len(array)), *array.shape[1:])
    meta = np.empty((0,) * array.ndim, dtype=array.dtype)
    return dask.array.from_array(array, chunks=chunks, name=False, asarray=False, meta=meta)


def _backend_array(array: LazyArray) -> Any:
    """What xarray's own backends return: read when a selection is computed."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    def outer(key: tuple[Any, ...]) -> np.ndarray:
        """What the key of each axis chooses of it, whatever stands at the others."""
        read = array[key[0]]
        for axis in range(1 - array.ndim, 0):
            read = read[(..., key[axis], *(slice(None),) * (-axis - 1))]
        return read

    class Lazy(BackendArray):
        shape, dtype = array.shape, array.dtype

        def __getitem__(self, key: Any) -> Any:
            support = indexing.IndexingSupport.OUTER_1VECTOR
            return indexing.explicit_indexing_adapter(key, self.shape, support, outer)

    return indexing.LazilyIndexedArray(Lazy())
