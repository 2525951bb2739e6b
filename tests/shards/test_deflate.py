"""Our deflate against zlib, which must give back every byte."""

from __future__ import annotations

import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physim.shards import deflate


def _inflated(stream: bytes) -> bytes:
    """By zlib, which checks the header, the codes, the distances and the checksum."""
    decoder = zlib.decompressobj()
    plain = decoder.decompress(stream) + decoder.flush()
    assert decoder.eof
    assert not decoder.unused_data
    return plain


def _array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)


@given(
    data=st.binary(max_size=400)
    | st.lists(st.integers(0, 3), max_size=3000).map(bytes)
    | st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 900)).map(lambda t: t[0] * t[1]),
    distances=st.lists(st.sampled_from([1, 2, 3, 7, 96, 257, 4097, 32768, 40000]), max_size=4),
    stride=st.integers(1, 4),
    block=st.sampled_from([1, 2, 100, 8192]),
)
def test_zlib_gives_back_every_byte(data, distances, stride, block):
    stream = deflate.compress(_array(data), tuple(distances), stride, block)
    assert _inflated(stream) == data


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 257, 258, 259, 260, 516, 100_000])
def test_lengths_at_the_edges(n):
    for data in (bytes(n), bytes(range(256)) * (n // 256) + bytes(range(n % 256))):
        assert _inflated(deflate.compress(_array(data), (1, 256))) == data


@pytest.mark.parametrize("distance", [*deflate._DISTANCE_BASE.tolist(), 32768, 32769])
def test_every_distance_code(distance):
    """And one beyond all of them, at which nothing can be looked for."""
    rng = np.random.default_rng(distance)
    data = np.tile(rng.integers(0, 256, distance, dtype=np.uint8), 3)[: distance + 700].copy()
    stream = deflate.compress(data, (distance,))
    assert _inflated(stream) == data.tobytes()
    assert len(stream) < 1.1 * distance + 500  # the repetition costs next to nothing


def test_noise_hardly_grows():
    data = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8)
    for distances, stride in (((1,), 1), ((3, 96, 3072), 3)):
        stream = deflate.compress(data, distances, stride)
        assert _inflated(stream) == data.tobytes()
        assert len(stream) < 1.02 * data.size


def test_codes_are_cut_at_fifteen_bits():
    """Frequencies like Fibonacci's numbers want codes as long as the alphabet."""
    counts = [1, 1]
    while len(counts) < 24:
        counts.append(counts[-1] + counts[-2])
    symbols = np.repeat(np.arange(24, dtype=np.uint8), counts)
    np.random.default_rng(1).shuffle(symbols)
    stream = deflate.compress(symbols, (), 1, 1 << 20)
    assert _inflated(stream) == symbols.tobytes()
    assert len(stream) < 1.02 * len(zlib.compress(symbols.tobytes(), 9, wbits=15))


@pytest.mark.parametrize("limit", [7, 15])
@given(frequency=st.lists(st.integers(0, 10**6), min_size=19, max_size=286))
def test_code_lengths_fill_the_tree_and_are_no_worse_than_entropy_allows(limit, frequency):
    if limit == 7:
        frequency = frequency[:19]
    counts = np.array(frequency)
    lengths = np.empty(len(frequency), dtype=np.int64)
    deflate._code_lengths(counts, limit, lengths)
    used = counts > 0
    assert not lengths[~used].any()
    if used.sum() < 2:
        return
    assert lengths[used].max() <= limit
    assert (2.0 ** -lengths[used]).sum() == 1  # Kraft: complete
    share = counts[used] / counts.sum()
    mean, entropy = (share * lengths[used]).sum(), -(share * np.log2(share)).sum()
    assert entropy - 1e-9 <= mean
    if limit == 15:
        assert mean < entropy + 1.01  # Huffman is within one bit; the limit costs next to nothing


def test_the_stream_is_the_same_in_every_thread():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 4, (40, 30, 32, 32, 3), dtype=np.uint8) // 3
    flat = [frame.reshape(-1) for frame in frames]
    found: list[list[bytes]] = []

    def work() -> None:
        garbage = [np.full(n, 77, dtype=np.uint8) for n in (1000, 90_000, 400_000)]
        del garbage
        found.append([deflate.compress(frame, (3, 96, 3072), 3) for frame in flat])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(streams == found[0] for streams in found)
