"""What a register holds, by name: LANES neighbouring numbers as one value in Numba code.

    v = load(x, i)            # x[i], x[i+1], ..., x[i+15]
    v = fma(v, v, w)          # v * v + w with one rounding
    store(y, i, clip_negative(v))

Arrays are C-contiguous and of any shape; an index counts their numbers as they lie in memory. So no
kernel has to flatten an array, which costs 50 ns. A pointer may stand in an array's place.

On AVX-512 a float32 vector is one register, on AVX2 two, on NEON four: LLVM splits it. Written this
way the code is vectorised on every machine, whatever the compiler makes of its loops.
"""

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

LANES = 16


class Vector(types.Type):
    """The Numba type of LANES numbers of one dtype."""

    def __init__(self, dtype: types.Float):
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype} x {LANES})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, llvm_vector(manager[vector.dtype].get_value_type()))


def llvm_vector(element: ir.Type) -> ir.VectorType:
    """The LLVM type of LANES numbers."""
    return ir.VectorType(element, LANES)


def address(context, builder, kind, memory, index):
    """Pointer to number `index` of an array, or behind a pointer: there a vector begins, too."""
    if isinstance(kind, types.Array):
        memory = context.make_array(kind)(context, builder, memory).data
    return builder.gep(memory, [index])


def load_vector(builder, pointer, element_bytes: int):
    """LANES numbers from `pointer` on, aligned as a single number is."""
    vector = llvm_vector(pointer.type.pointee)
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = element_bytes
    return value


def store_vector(builder, value, pointer, element_bytes: int) -> None:
    """LANES numbers to `pointer` and the following places."""
    instruction = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    instruction.align = element_bytes


def spread(builder, number):
    """The same number in every lane."""
    lanes = llvm_vector(number.type)
    index = ir.IntType(32)
    undefined = ir.Constant(lanes, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(index, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(llvm_vector(index), [0] * LANES))


def multiply_add(builder, a, b, c):
    """a * b + c in one instruction."""
    letters = {ir.FloatType: "f32", ir.DoubleType: "f64"}[type(a.type.element)]
    kind = ir.FunctionType(a.type, [a.type] * 3)
    name = f"llvm.fma.v{LANES}{letters}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def _bytes(dtype) -> int:
    return dtype.bitwidth // 8


def _is_memory(kind) -> bool:
    """Whether neighbouring numbers are neighbours in memory; else Numba refuses the call."""
    return isinstance(kind, types.CPointer) or (
        isinstance(kind, types.Array) and kind.layout == "C"
    )


@intrinsic
def pointer(typing, array, index):
    """Where number `index` of `array` lies.

    A pointer is no owner: some array must live as long as it is used, such as a kernel's argument.
    Unlike an array it is not counted, which costs 10 ns whenever an array is passed on in a tuple.
    """
    if not _is_memory(array):
        return None

    def generate(context, builder, signature, args):
        return address(context, builder, signature.args[0], *args)

    return types.CPointer(array.dtype)(array, types.intp), generate


@intrinsic
def load(typing, array, index):
    """LANES numbers of `array`, from `index` on."""
    if not _is_memory(array):
        return None

    def generate(context, builder, signature, args):
        pointer = address(context, builder, signature.args[0], *args)
        return load_vector(builder, pointer, _bytes(array.dtype))

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing, array, index, value):
    """Write a vector to `array`, from `index` on."""
    if not _is_memory(array) or value != Vector(array.dtype):
        return None

    def generate(context, builder, signature, args):
        pointer = address(context, builder, signature.args[0], *args[:2])
        store_vector(builder, args[2], pointer, _bytes(array.dtype))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def fill(typing, array, number):
    """The same number in every lane, as the dtype of `array`."""

    def generate(context, builder, signature, args):
        return spread(builder, args[1])

    return Vector(array.dtype)(array, array.dtype), generate


@intrinsic
def fma(typing, a, b, c):
    """a * b + c with a single rounding."""

    def generate(context, builder, signature, args):
        return multiply_add(builder, *args)

    return a(a, a, a), generate


@intrinsic
def where_positive(typing, condition, value):
    """`value` in the lanes where `condition` > 0, or is NaN; zero in the others."""

    def generate(context, builder, signature, args):
        zero = ir.Constant(args[0].type, None)
        return builder.select(builder.fcmp_ordered("<=", args[0], zero), zero, args[1])

    return value(condition, value), generate


@intrinsic
def clip_negative(typing, value):
    """max(value, 0), NaN where the value is NaN."""

    def generate(context, builder, signature, args):
        zero = ir.Constant(args[0].type, None)
        return builder.select(builder.fcmp_ordered("<", args[0], zero), zero, args[0])

    return value(value), generate


@intrinsic
def copy(typing, target, i, source, j, count):
    """target[i : i + count] = source[j : j + count], which do not overlap (memcpy)."""
    if not (_is_memory(target) and _is_memory(source) and target.dtype == source.dtype):
        return None

    def generate(context, builder, signature, args):
        to = address(context, builder, signature.args[0], *args[:2])
        origin = address(context, builder, signature.args[2], *args[2:4])
        cgutils.raw_memcpy(builder, to, origin, args[4], _bytes(target.dtype))
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), generate


@intrinsic
def clear(typing, target, i, count):
    """target[i : i + count] = 0 (memset)."""
    if not _is_memory(target):
        return None

    def generate(context, builder, signature, args):
        to = address(context, builder, signature.args[0], *args[:2])
        cgutils.memset(builder, to, builder.mul(args[2], args[2].type(_bytes(target.dtype))), 0)
        return context.get_dummy_value()

    return types.void(target, types.intp, types.intp), generate


@intrinsic
def _add(typing, a, b):
    return a(a, b), lambda context, builder, signature, args: builder.fadd(*args)


@intrinsic
def _subtract(typing, a, b):
    return a(a, b), lambda context, builder, signature, args: builder.fsub(*args)


@intrinsic
def _multiply(typing, a, b):
    return a(a, b), lambda context, builder, signature, args: builder.fmul(*args)


def _define(symbol, compute) -> None:
    @overload(symbol)
    def _operator(a, b):
        if isinstance(a, Vector) and a == b:
            return lambda a, b: compute(a, b)


_define(operator.add, _add)
_define(operator.sub, _subtract)
_define(operator.mul, _multiply)
