"""Deflate for drawn frames: a standard zlib stream, from matches at a few known distances.

A general compressor looks for the longest earlier match by hashing. Frames are simpler: what
repeats is the pixel to the left, the row above, or the frame before, so that three comparisons a
pixel find nearly everything that a hash finds, and the Huffman codes do the rest. The stream
depends on the data and the arguments alone. (ISA-L, which is as fast, gives streams that differ in
a few of a hundred chunks from thread to thread, so that a data set could not be reproduced bit for
bit; zlib-ng and libdeflate are two to five times slower at the same size.)

Every block is coded with its own Huffman codes (RFC 1951, block type 2), except that stretches
that look like noise, such as the low bytes of shuffled doubles, are stored as they are (type 0).
Matches are chosen greedily; where none has three bytes, `stride` literals are taken at once, since
in a frame matches begin at pixels.

Reference: Deutsch (1996), "DEFLATE compressed data format specification", RFC 1951, and "ZLIB
compressed data format specification", RFC 1950; Huffman (1952), "A method for the construction of
minimum-redundancy codes".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from zlib_ng import zlib_ng

from physim.kernels import inlined, kernel, subroutine

SHORTEST, LONGEST = 3, 258
"""Lengths of a match that deflate can express."""

FARTHEST = 32768
"""The largest distance that deflate can express."""

LITERALS, DISTANCES, PRECODE = 286, 30, 19
"""Sizes of the three alphabets."""

SEGMENT, NOISE = 1024, 240
"""So many bytes are noise if so many values occur in them; of uniform bytes it is 251 ± 2."""

WIDTH = 64
"""Bytes that are compared at once."""

END = 256
"""The symbol that ends a block."""

_MATCH = 1 << 31
_HEADER = b"\x78\x01"  # a window of 32 KiB, fastest algorithm

_LENGTH_BASE = np.array(
    [
        *range(3, 11),
        11,
        13,
        15,
        17,
        19,
        23,
        27,
        31,
        35,
        43,
        51,
        59,
        67,
        83,
        99,
        115,
        131,
        163,
        195,
        227,
        258,
    ]
)
_LENGTH_BITS = np.array([0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0])
_LENGTH_CODE = np.searchsorted(_LENGTH_BASE, np.arange(LONGEST + 1), side="right") - 1
_DISTANCE_BITS = np.array([0, 0, *(n // 2 for n in range(28))])
_DISTANCE_BASE = 1 + np.concatenate([[0], np.cumsum(1 << _DISTANCE_BITS[:-1])])
_PRECODE_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15])

BYTES = types.uint8[::1]
WORDS = types.int64[::1]


@intrinsic
def _load(typingctx: Any, array: Any, index: Any) -> Any:
    """Eight bytes of `array` from `index` on, wherever that is."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        at = builder.gep(data, [args[1]])
        word = builder.load(builder.bitcast(at, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(array, types.int64), code


@intrinsic
def _store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write eight bytes to `array` from `index` on, wherever that is."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        at = builder.gep(data, [args[1]])
        store = builder.store(args[2], builder.bitcast(at, ir.IntType(64).as_pointer()))
        store.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), code


@intrinsic
def _equal(typingctx: Any, array: Any, index: Any, distance: Any) -> Any:
    """Which of the 64 bytes from `index` on repeat those `distance` before, lowest bit first."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        lanes = ir.VectorType(ir.IntType(8), WIDTH).as_pointer()
        words = []
        for at in (args[1], builder.sub(args[1], args[2])):
            words.append(builder.load(builder.bitcast(builder.gep(data, [at]), lanes), align=1))
        return builder.bitcast(builder.icmp_unsigned("==", *words), ir.IntType(64))

    return types.uint64(array, types.int64, types.int64), code


@intrinsic
def _trailing_zeros(typingctx: Any, value: Any) -> Any:
    """Number of zero bits below the lowest one of a word that is not zero."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


@inlined
def _match_length(data, i, distance, limit):
    """How many bytes from `i` on repeat those `distance` before, at most `limit`."""
    if limit >= 8:
        difference = _load(data, i) ^ _load(data, i - distance)
        if difference:  # as in most that are tried
            return _trailing_zeros(difference) >> 3
    n = 0
    while n < limit and i + n + WIDTH <= data.size:
        different = ~_equal(data, i + n, distance)
        if different:
            return min(n + _trailing_zeros(different), limit)
        n += WIDTH
    while n < limit and data[i + n] == data[i + n - distance]:
        n += 1
    return min(n, limit)


@subroutine
def _sort(keys, n):
    """Shell's sort of the first `n`: compiled in a tenth of the time of NumPy's in Numba."""
    gap = 121
    while gap:
        for i in range(gap, n):
            key = keys[i]
            j = i
            while j >= gap and keys[j - gap] > key:
                keys[j] = keys[j - gap]
                j -= gap
            keys[j] = key
        gap //= 3


@subroutine
def _code_lengths(frequency, limit, out):
    """Length of each symbol's Huffman code, at most `limit` bits, written to `out`."""
    out[:] = 0
    n = frequency.size
    order = np.empty(n, np.int64)
    m = 0
    for symbol in range(n):
        if frequency[symbol]:
            order[m] = frequency[symbol] * 512 + symbol
            m += 1
    if m < 2:
        if m:
            out[order[0] % 512] = 1
        return
    _sort(order, m)
    # leaves 0 … m−1 by rising weight, then inner nodes in the order in which they arise
    weight = np.empty(2 * m, np.int64)
    parent = np.empty(2 * m, np.int64)
    for i in range(m):
        weight[i] = order[i] // 512
    leaf, inner = 0, m
    for new in range(m, 2 * m - 1):
        weight[new] = 0
        for _ in range(2):
            if leaf < m and (inner >= new or weight[leaf] <= weight[inner]):
                taken = leaf
                leaf += 1
            else:
                taken = inner
                inner += 1
            weight[new] += weight[taken]
            parent[taken] = new
    depth = np.zeros(2 * m, np.int64)
    count = np.zeros(limit + 1, np.int64)
    for node in range(2 * m - 3, -1, -1):
        depth[node] = depth[parent[node]] + 1
        if node < m:
            count[min(depth[node], limit)] += 1
    # codes that were cut to the limit overfill the tree: lengthen others until it is exactly full
    filled = 0
    for length in range(1, limit + 1):
        filled += count[length] << (limit - length)
    while filled > 1 << limit:
        length = limit - 1
        while not count[length]:
            length -= 1
        count[length] -= 1
        count[length + 1] += 2
        count[limit] -= 1
        filled -= 1
    rank = m - 1  # the most frequent symbol gets the shortest code
    for length in range(1, limit + 1):
        for _ in range(count[length]):
            out[order[rank] % 512] = length
            rank -= 1


@subroutine
def _codes(lengths, out):
    """The canonical code of each symbol, first bit lowest, written to `out`."""
    count = np.zeros(17, np.int64)
    for length in lengths:
        count[length] += 1
    count[0] = 0
    following = np.zeros(17, np.int64)
    for length in range(1, 16):
        following[length] = (following[length - 1] + count[length - 1]) << 1
    for symbol in range(lengths.size):
        code = following[lengths[symbol]]
        following[lengths[symbol]] += 1
        backwards = 0
        for _ in range(lengths[symbol]):
            backwards = (backwards << 1) | (code & 1)
            code >>= 1
        out[symbol] = backwards


@inlined
def _put(out, state, value, width):
    """Append `width` ≤ 48 bits; `state` is (position, bits kept back, how many)."""
    at, kept, held = state
    kept |= np.uint64(value) << np.uint64(held)
    held += width
    _store(out, at, kept)
    whole = held >> 3
    return at + whole, kept >> np.uint64(whole << 3), held & 7


@subroutine
def _put_codes(out, state, last, literal_lengths, distance_lengths):
    """The head of a block: both sets of code lengths, themselves coded (RFC 1951, 3.2.7)."""
    literals = LITERALS
    while literals > 257 and not literal_lengths[literals - 1]:
        literals -= 1
    distances = DISTANCES
    while distances > 1 and not distance_lengths[distances - 1]:
        distances -= 1
    both = np.empty(literals + distances, np.int64)
    for i in range(both.size):
        both[i] = literal_lengths[i] if i < literals else distance_lengths[i - literals]
    symbols = np.empty(both.size, np.int64)
    extras = np.empty(both.size, np.int64)
    frequency = np.zeros(PRECODE, np.int64)
    n = 0
    i = 0
    while i < both.size:
        run = 1
        while i + run < both.size and both[i + run] == both[i]:
            run += 1
        symbol, extra, taken = both[i], 0, 1
        if both[i] == 0 and run >= 11:
            taken = min(run, 138)
            symbol, extra = 18, taken - 11
        elif both[i] == 0 and run >= 3:
            taken = run
            symbol, extra = 17, taken - 3
        elif i and both[i] == both[i - 1] and run >= 3:
            taken = min(run, 6)
            symbol, extra = 16, taken - 3
        symbols[n] = symbol
        extras[n] = extra
        frequency[symbol] += 1
        n += 1
        i += taken
    lengths = np.empty(PRECODE, np.int64)
    codes = np.empty(PRECODE, np.int64)
    _code_lengths(frequency, 7, lengths)
    _codes(lengths, codes)
    sent = PRECODE
    while sent > 4 and not lengths[_PRECODE_ORDER[sent - 1]]:
        sent -= 1
    state = _put(out, state, last | 2 << 1 | (literals - 257) << 3, 8)
    state = _put(out, state, (distances - 1) | (sent - 4) << 5, 9)
    for i in range(sent):
        state = _put(out, state, lengths[_PRECODE_ORDER[i]], 3)
    for i in range(n):
        state = _put(out, state, codes[symbols[i]], lengths[symbols[i]])
        if symbols[i] >= 16:
            width = 2 if symbols[i] == 16 else 3 if symbols[i] == 17 else 7
            state = _put(out, state, extras[i], width)
    return state


@subroutine
def _is_noise(data, i, seen):
    """Whether the segment from `i` on is whole and cannot be compressed; `seen` is scratch."""
    if i + SEGMENT > data.size:
        return False
    for value in range(256):
        seen[value] = 0
    for j in range(i, i + SEGMENT):
        seen[data[j]] = 1
    different = 0
    for value in range(256):
        different += seen[value]
    return different >= NOISE


@subroutine
def _put_stored(out, state, last, data, i, n):
    """A block of `n` ≤ 65535 bytes as they are (RFC 1951, 3.2.4)."""
    at, _, held = _put(out, state, last, 3)
    if held:
        at += 1
    at, _, _ = _put(out, (at, np.uint64(0), 0), n | (n ^ 0xFFFF) << 16, 32)
    for j in range(n):
        out[at + j] = data[i + j]
    return at + n, np.uint64(0), 0


@kernel(types.int64(BYTES, WORDS, WORDS, types.int64, types.int64, BYTES))
def _deflate(data, distances, bucket, stride, block, out):
    """`compress` without header and checksum, written to `out`; returns the number of bytes.

    `bucket` is the distance symbol of each distance.
    """
    tokens = np.empty(block + stride, np.uint32)
    seen = np.empty(256, np.uint8)
    frequency = np.empty(LITERALS, np.int64)
    distance_frequency = np.empty(DISTANCES, np.int64)
    lengths = np.empty(LITERALS, np.int64)
    codes = np.empty(LITERALS, np.int64)
    distance_lengths = np.empty(DISTANCES, np.int64)
    distance_codes = np.empty(DISTANCES, np.int64)
    state = (0, np.uint64(0), 0)
    alone = stride == 1 and distances.size == 1
    i = 0
    last = False
    while not last:
        n = 0
        while stride == 1 and n + SEGMENT < 1 << 16 and _is_noise(data, i + n, seen):
            n += SEGMENT
        if n:
            last = i + n >= data.size
            state = _put_stored(out, state, int(last), data, i, n)
            i += n
            continue
        frequency[:] = 0
        distance_frequency[:] = 0
        checked = i
        while i < data.size and n < block:
            if stride == 1 and i >= checked + SEGMENT:
                checked = i
                if _is_noise(data, i, seen):
                    break
            limit = min(LONGEST, data.size - i)
            best, nearest = 0, 0
            for c in range(distances.size):
                if distances[c] <= i:
                    length = _match_length(data, i, distances[c], limit)
                    if length > best:
                        best, nearest = length, c
                        if length == limit:
                            break
            if best >= SHORTEST:
                tokens[n] = np.uint32(_MATCH | nearest << 16 | best)
                n += 1
                i += best
                frequency[257 + _LENGTH_CODE[best]] += 1
                distance_frequency[bucket[nearest]] += 1
            else:
                taken = stride
                if alone and distances[0] <= i and i + WIDTH <= data.size:
                    # as far as no three bytes repeat
                    same = _equal(data, i, distances[0])
                    same &= (same >> np.uint64(1)) & (same >> np.uint64(2))
                    taken = _trailing_zeros(same | np.uint64(1 << (WIDTH - 3)))
                    taken = min(taken, block - n, checked + SEGMENT - i)
                for _ in range(min(taken, data.size - i)):
                    tokens[n] = data[i]
                    frequency[data[i]] += 1
                    n += 1
                    i += 1
        last = i >= data.size
        frequency[END] = 1
        _code_lengths(frequency, 15, lengths)
        _code_lengths(distance_frequency, 15, distance_lengths)
        _codes(lengths, codes)
        _codes(distance_lengths, distance_codes)
        state = _put_codes(out, state, int(last), lengths, distance_lengths)
        for token in tokens[:n]:
            if token < END:
                state = _put(out, state, codes[token], lengths[token])
            else:
                length, nearest = token & 0xFFFF, (token >> 16) & 0x7FFF
                code = _LENGTH_CODE[length]
                symbol = 257 + code
                width = lengths[symbol]
                value = codes[symbol] | (length - _LENGTH_BASE[code]) << width
                state = _put(out, state, value, width + _LENGTH_BITS[code])
                code = bucket[nearest]
                width = distance_lengths[code]
                value = distance_codes[code] | (distances[nearest] - _DISTANCE_BASE[code]) << width
                state = _put(out, state, value, width + _DISTANCE_BITS[code])
        state = _put(out, state, codes[END], lengths[END])
    return state[0] + (1 if state[2] else 0)


def compress(
    data: np.ndarray, distances: tuple[int, ...] = (1,), stride: int = 1, block: int = 1 << 13
) -> bytes:
    """Deflate bytes into a zlib stream; the GIL is released.

    Arguments:
        data: (n,) uint8, C-contiguous.
        distances: Where to look for repetitions, in bytes, the most frequent first; those beyond
            32,768 are left out.
        stride: Bytes that are taken as they are where nothing repeats, such as 3 for a pixel.
        block: Symbols that share a set of Huffman codes; fewer where the data changes its
            character.

    Returns:
        A zlib stream, the same for the same arguments.

    Example:
        >>> import zlib
        >>> row = np.zeros(3000, dtype=np.uint8)
        >>> stream = compress(row, (3,), 3)
        >>> len(stream) < 50, zlib.decompress(stream) == row.tobytes()
        (True, True)
    """
    data = np.require(data, np.uint8, ["C", "W"])  # the kernel is compiled for writable arrays
    near = np.array([distance for distance in distances if distance <= FARTHEST], dtype=np.int64)
    bucket = np.searchsorted(_DISTANCE_BASE, near, side="right") - 1
    # no symbol needs more than 9.1 bits on the average, and a block's codes less than 400 bytes
    room = data.size + data.size // 4 + 400 * (data.size // block + 1) + 16
    out = np.empty(room, dtype=np.uint8)
    size = _deflate(data, near, bucket, stride, block, out)
    checksum = zlib_ng.adler32(data).to_bytes(4, "big")
    return _HEADER + out[:size].tobytes() + checksum
