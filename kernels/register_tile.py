"""The inner loop of every convolution: a small matrix product held in registers.

    y[r, v] (+)= sum over all l < loops of a[r, l] * b[l, v]

    r = 0 ... rows-1        v = 0 ... 16 vectors - 1, vectors = 1 or 2, rows = tile_rows(vectors)

a, b and y are memory with strides, so one loop serves a convolution, where a is the image and
l walks over the filter, and its weight gradient, where b is the output gradient and l walks over
the pixels. l is a tuple of indices, of which the last one counts fastest. Strides are arguments:
the same machine code serves all shapes. `products` covers a whole product with tiles.

A processor multiplies far faster than it loads: an AVX-512 core does 2 x 16 multiply-adds per
cycle, but loads only 2 vectors. So a number that is loaded must be used many times. Here rows x
vectors sums stay in registers during the whole product; each step of l loads `vectors` vectors of b
and rows single numbers of a, and does rows x vectors multiply-adds with them:

                     b: 16 v numbers, v vector registers
                     +---------------------+
    a: rows single   |  rows x v vectors   |     8 x 2 sums: 10 loads for 16 multiply-adds;
    numbers, each    |  of sums, written   |     16 sums in flight also hide the 4 cycles that
    spread over a    |  to y at the end    |     one multiply-add takes
    register         +---------------------+

(Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", section 6.)

Numba code cannot say "these sums are registers": the loops are emitted as LLVM instructions below.

See docs/decisions/cpu.md, "Constant strides".
"""

from typing import NamedTuple

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, codegen
from numba.extending import intrinsic

from minires.kernels.jit import jit
from minires.kernels.vectors import (
    LANES,
    llvm_vector,
    load_vector,
    multiply_add,
    spread,
    store_vector,
)

FEATURES = numba.config.CPU_FEATURES or codegen.get_host_cpu_features()
"""The processor's, or those that NUMBA_CPU_FEATURES gives for another one: "+avx2,+fma,..."."""

WIDE = "+avx512f" in FEATURES
"""Whether there are 32 registers of 16 float32: else two registers hold a vector, or four."""

MOST_ROWS = 16 if WIDE else 6


def tile_vectors(channels: int) -> int:
    """Vectors in the tiles at the end of y's channels: 2 if that leaves none over, with AVX-512."""
    return 2 if WIDE and channels % (2 * LANES) == 0 else 1


def tile_rows(vectors: int) -> int:
    """Rows of a tile: 16 x 1 or 8 x 2 sums in 32 registers with AVX-512, 6 x 2 in AVX2's 16."""
    return MOST_ROWS // vectors if WIDE else MOST_ROWS


class A(NamedTuple):
    """The factor whose numbers are loaded one by one.

    Line q, row r and step l lie at first[q line + r row + l[0] steps[0] + ...]. `first` is a
    `vectors.pointer`.
    """

    first: object
    line: int
    row: int
    steps: tuple[int, ...]


class B(NamedTuple):
    """The factor whose numbers are loaded as vectors: first[l[0] steps[0] + ... + v]."""

    first: object
    steps: tuple[int, ...]


class Y(NamedTuple):
    """The product: first[q line + r row + v]."""

    first: object
    line: int
    row: int


INDEX = ir.IntType(64)


@intrinsic(prefer_literal=True)
def register_tile(typing, row, vectors, a, b, y, at, valid, loops, accumulate):
    """The product above for an A, a B and a Y, from (line, row, column) = `at` on.

    They point to one dtype, float32 or float64. Only the first `valid` rows are written, or added
    to y with `accumulate`. `vectors` and `row` are constants of the calling code: `row` is a.row if
    that is known when compiling, and 0 if not. A known stride becomes part of the load
    instructions; that many unknown ones would need an address register each, more than there are.
    """
    constants = row.literal_value, vectors.literal_value
    at, loops = (types.UniTuple(types.intp, len(indices)) for indices in (at, loops))
    signature = types.void(row, vectors, a, b, y, at, types.intp, loops, types.boolean)

    def generate(context, builder, signature, args):
        factors = [
            _locate(builder, kind, factor, args[5])
            for kind, factor in zip((a, b, y), args[2:5], strict=True)
        ]
        counts = cgutils.unpack_tuple(builder, args[7])
        _emit(builder, *factors, args[6], counts, args[8], *constants)
        return context.get_dummy_value()

    return signature, generate


def _locate(builder, kind, factor, at):
    """Pointer to the number of a factor at (line, row, column), and the factor's fields by name."""
    line, row, column = cgutils.unpack_tuple(builder, at)
    fields = dict(zip(kind.fields, cgutils.unpack_tuple(builder, factor), strict=True))
    offset = INDEX(0)
    if kind.instance_class in (A, Y):
        offset = builder.add(builder.mul(line, fields["line"]), builder.mul(row, fields["row"]))
    if kind.instance_class in (B, Y):
        offset = builder.add(offset, column)
    return builder.gep(fields["first"], [offset]), fields


def _emit(builder, a, b, y, valid, counts, accumulate, row: int, vectors: int) -> None:
    """Write the instructions of one tile."""
    (a, a_fields), (b, b_fields), (y, y_fields) = a, b, y  # pointers and fields
    element = llvm_vector(a.type.pointee)
    zero = ir.Constant(element, None)
    size = 8 if isinstance(element.element, ir.DoubleType) else 4
    rows = tile_rows(vectors)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(rows)]
    for vector in sum(sums, []):  # a tile in a loop begins anew each time
        builder.store(zero, vector)

    def times(r, stride):
        return builder.mul(INDEX(r), stride)

    def step(a, b):
        """Add the products of one l."""
        loaded = [
            load_vector(builder, builder.gep(b, [INDEX(LANES * v)]), size) for v in range(vectors)
        ]
        for r in range(rows):
            offset = INDEX(r * row) if row else times(r, a_fields["row"])
            number = spread(builder, builder.load(builder.gep(a, [offset])))
            for v in range(vectors):
                total = multiply_add(builder, number, loaded[v], builder.load(sums[r][v]))
                builder.store(total, sums[r][v])

    a_steps, b_steps = (cgutils.unpack_tuple(builder, x["steps"]) for x in (a_fields, b_fields))
    _walk(builder, list(zip(counts, a_steps, b_steps, strict=True)), a, b, step)
    for r in range(rows):
        with builder.if_then(builder.icmp_signed("<", INDEX(r), valid)):
            for v in range(vectors):
                offset = builder.add(times(r, y_fields["row"]), INDEX(LANES * v))
                place = builder.gep(y, [offset])
                total = builder.load(sums[r][v])
                with builder.if_else(accumulate) as (adding, writing):
                    with adding:
                        before = load_vector(builder, place, size)
                        store_vector(builder, builder.fadd(before, total), place, size)
                    with writing:
                        store_vector(builder, total, place, size)


def _walk(builder, loops, a, b, step) -> None:
    """Nested loops, one for each (count, step of a, step of b), around `step` of the pointers."""
    if not loops:
        return step(a, b)
    (count, a_step, b_step), *inner = loops
    with cgutils.for_range(builder, count) as loop:
        a_l, b_l = (
            builder.gep(pointer, [builder.mul(loop.index, stride)])
            for pointer, stride in ((a, a_step), (b, b_step))
        )
        _walk(builder, inner, a_l, b_l, step)


def _products(row: int):
    """A whole product with a constant a.row; 0 stands for any."""
    few, many = tile_rows(2), tile_rows(1)

    @jit
    def products(a, b, y, size, loops, accumulate):
        """y[q, r, v] (+)= sum over l of a[q, r, l] b[l, v], for (lines, rows, columns) = size."""
        lines, rows, columns = size
        pairs = columns - columns % (2 * LANES) if WIDE else 0
        for v in range(0, pairs, 2 * LANES):
            for q in range(lines):
                for r in range(0, rows, few):
                    register_tile(row, 2, a, b, y, (q, r, v), rows - r, loops, accumulate)
        for v in range(pairs, columns, LANES):
            for q in range(lines):
                for r in range(0, rows, many):
                    register_tile(row, 1, a, b, y, (q, r, v), rows - r, loops, accumulate)

    return products


products_of_channels = _products(1)
products_of_pixels = _products(LANES)
_of_second_pixels = _products(2 * LANES)
_of_any = _products(0)


@jit
def products(a, b, y, size, loops, accumulate):
    """The product of `_products` for a.row, whatever it is."""
    if a.row == LANES:
        products_of_pixels(a, b, y, size, loops, accumulate)
    elif a.row == 2 * LANES:
        _of_second_pixels(a, b, y, size, loops, accumulate)
    else:
        _of_any(a, b, y, size, loops, accumulate)
