"""The inner loop of every convolution: a small matrix product held in registers.

    y[r, v] (+)= sum over o < outer, d < inner of
                 a[a_first + r row + o a_outer + d a_inner] * b[b_first + o b_outer + d b_inner + v]

    r = 0 ... rows-1        v = 0 ... 16 vectors - 1, vectors = 1 or 2, rows = tile_rows(vectors)

    y row r begins at y[y_first + r y_row]; only the first `valid` rows are written

A processor multiplies far faster than it loads: an AVX-512 core does 2 x 16 multiply-adds per
cycle, but loads only 2 vectors. So a number that is loaded must be used many times. Here rows x
vectors sums stay in registers during the whole product; each step of (o, d) loads `vectors` vectors
of b and rows single numbers of a, and does rows x vectors multiply-adds with them:

                     b: 16 v numbers, v vector registers
                     +---------------------+
    a: rows single   |  rows x v vectors   |     8 x 2 sums: 10 loads for 16 multiply-adds;
    numbers, each    |  of sums, written   |     16 sums in flight also hide the 4 cycles that
    spread over a    |  to y at the end    |     one multiply-add takes
    register         +---------------------+

(Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", section 6.) The
strides let one loop serve a convolution, where a is the image and (o, d) walks over the filter, and
its weight gradient, where b is the output gradient and (o, d) walks over the pixels.

Numba code cannot say "these sums are registers": the loop is emitted as LLVM instructions below.

See docs/decisions/cpu.md, "Constant strides".
"""

import numba
from llvmlite import ir
from numba.core import cgutils, codegen, types
from numba.extending import intrinsic

from minires.kernels.vectors import (
    LANES,
    address,
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
    """Vectors in a tile for b and y with `channels`: 2 if they are whole, with AVX-512."""
    return 2 if WIDE and channels % (2 * LANES) == 0 else 1


def tile_rows(vectors: int) -> int:
    """Rows of a tile: 16 x 1 or 8 x 2 sums in 32 registers with AVX-512, 6 x 2 in AVX2's 16."""
    return MOST_ROWS // vectors if WIDE else MOST_ROWS


INDEX = ir.IntType(64)


@intrinsic(prefer_literal=True)
def register_tile(
    typing,
    row,
    vectors,
    a,
    a_first,
    a_row,
    a_outer,
    a_inner,
    b,
    b_first,
    b_outer,
    b_inner,
    y,
    y_first,
    y_row,
    valid,
    outer,
    inner,
    accumulate,
):
    """The product above, for Numba code; a, b, y are flat arrays of one dtype, float32 or float64.

    `vectors` and `row` are constants of the calling code: `row` is a_row if that is known when
    compiling, and 0 if not. A known stride becomes part of the load instructions; that many
    unknown ones would need an address register each, more than there are.
    """
    if not all(kind.ndim == 1 and kind.layout == "C" for kind in (a, b, y)):
        return None
    row_constant, vectors_constant = row.literal_value, vectors.literal_value
    n = types.intp
    arrays = [(a, n, n, n, n), (b, n, n, n), (y, n, n, n, n, n, types.boolean)]
    signature = types.void(row, vectors, *(kind for group in arrays for kind in group))

    def generate(context, builder, signature, args):
        _emit(context, builder, signature.args[2:], args[2:], row_constant, vectors_constant)
        return context.get_dummy_value()

    return signature, generate


def _emit(context, builder, kinds, args, row: int, vectors: int) -> None:
    """Write the instructions of one tile."""
    (a, a_first, a_row, a_outer, a_inner, b, b_first, b_outer, b_inner) = args[:9]
    (y, y_first, y_row, valid, outer, inner, accumulate) = args[9:]
    pointers = [
        address(context, builder, kinds[i], array, first)
        for i, array, first in ((0, a, a_first), (5, b, b_first), (9, y, y_first))
    ]
    size = kinds[0].dtype.bitwidth // 8
    zero = ir.Constant(llvm_vector(pointers[0].type.pointee), None)
    rows = tile_rows(vectors)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(rows)]
    for vector in sum(sums, []):  # a tile in a loop begins anew each time
        builder.store(zero, vector)

    def step(builder, pointer, *terms):
        for term in terms:
            pointer = builder.gep(pointer, [term])
        return pointer

    def times(r, stride):
        return builder.mul(INDEX(r), stride)

    with cgutils.for_range(builder, outer) as o:
        a_o = step(builder, pointers[0], builder.mul(o.index, a_outer))
        b_o = step(builder, pointers[1], builder.mul(o.index, b_outer))
        with cgutils.for_range(builder, inner) as d:
            a_d = step(builder, a_o, builder.mul(d.index, a_inner))
            b_d = step(builder, b_o, builder.mul(d.index, b_inner))
            loaded = [
                load_vector(builder, step(builder, b_d, INDEX(LANES * v)), size)
                for v in range(vectors)
            ]
            for r in range(rows):
                offset = times(r, a_row) if row == 0 else INDEX(r * row)
                number = spread(builder, builder.load(step(builder, a_d, offset)))
                for v in range(vectors):
                    total = multiply_add(builder, number, loaded[v], builder.load(sums[r][v]))
                    builder.store(total, sums[r][v])
    for r in range(rows):
        with builder.if_then(builder.icmp_signed("<", INDEX(r), valid)):
            for v in range(vectors):
                place = step(builder, pointers[2], times(r, y_row), INDEX(LANES * v))
                total = builder.load(sums[r][v])
                with builder.if_else(accumulate) as (adding, writing):
                    with adding:
                        before = load_vector(builder, place, size)
                        store_vector(builder, builder.fadd(before, total), place, size)
                    with writing:
                        store_vector(builder, total, place, size)
