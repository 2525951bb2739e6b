"""Parquet: one row per trajectory, one column per array, for table tools.

Arrays with more axes than the trajectory's are flattened to lists of fixed size, `image` to one
binary value of its raw bytes. Their shapes stand in the schema's metadata (JSON under the key
`shapes`), as do `times` and the recipe. Columns are compressed by Zstandard.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from physim.dataset import Dataset
from physim.errors import RecipeError
from physim.shards.read import Split

SUFFIX = ".parquet"
BATCH = 200
BATCH_BYTES = 2**25
"""Rows, and raw bytes of an array, that are written at once; Arrow takes at most 2 GiB."""


def write(dataset: Dataset, split: Split, rows: slice, path: Path) -> None:
    """Write one file.

    Arguments:
        dataset: The data set.
        split: One of its splits.
        rows: Trajectories of the file.
        path: The file.

    Raises:
        RecipeError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise RecipeError(
            "format: pyarrow is not installed; pip install 'physim[export]'"
        ) from None
    shapes = {name: split.array(name).shape[1:] for name in split.names}
    fields = []
    for name, shape in shapes.items():
        scalar = pa.from_numpy_dtype(split.array(name).dtype)
        kind = pa.list_(scalar, math.prod(shape)) if shape else scalar
        fields.append(pa.field(name, pa.binary() if name == "image" else kind))
    schema = pa.schema(
        fields,
        metadata={
            "shapes": json.dumps(shapes),
            "times": json.dumps(dataset.times.tolist()),
            "recipe": json.dumps(dataset.settings),
        },
    )
    largest = max(
        math.prod(shape) * split.array(name).dtype.itemsize for name, shape in shapes.items()
    )
    size = max(1, min(BATCH, BATCH_BYTES // largest))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(rows.start, rows.stop, size):
            batch = split[start : min(start + size, rows.stop)]
            columns = [_column(pa, schema.field(name).type, batch[name]) for name in shapes]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _column(pa: object, kind: object, array: np.ndarray) -> object:
    """An Arrow array with one row per trajectory."""
    import pyarrow

    if pyarrow.types.is_binary(kind):
        return pyarrow.array([row.tobytes() for row in array], kind)
    if pyarrow.types.is_fixed_size_list(kind):
        flat = pyarrow.array(np.ascontiguousarray(array).reshape(-1))
        return pyarrow.FixedSizeListArray.from_arrays(flat, type=kind)
    return pyarrow.array(array)
