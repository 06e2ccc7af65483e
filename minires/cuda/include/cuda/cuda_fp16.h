// half and half2: IEEE binary16 in memory, calculated in float and rounded after each operation.
#pragma once
#include "short_floats.h"

namespace emulator {
struct Binary16 {
    static float widen(uint16_t bits) { return widen_half(bits); }
    static uint16_t narrow(float x) { return narrow_half(x); }
};
}  // namespace emulator

using __half = emulator::ShortFloat<emulator::Binary16>;
using half = __half;
using __half2 = emulator::ShortFloat2<__half>;
using half2 = __half2;

using __half_type = half;
using __half2_type = half2;
EMULATOR_SHORT_FLOAT(half, half2)
inline half2 __float22half2_rn(float2 a) { return {half(a.x), half(a.y)}; }
inline half2 __floats2half2_rn(float a, float b) { return {half(a), half(b)}; }
inline half2 __float2half2_rn(float a) { return {half(a), half(a)}; }
inline float2 __half22float2(half2 a) { return {float(a.x), float(a.y)}; }
inline half2 __halves2half2(half a, half b) { return {a, b}; }
inline half2 __half2half2(half a) { return {a, a}; }
inline half __int2half_rn(int a) { return half(float(a)); }
inline int __half2int_rn(half a) { return __float2int_rn(float(a)); }
inline unsigned short __half_as_ushort(half a) { return a.bits; }
inline half __ushort_as_half(unsigned short bits) { half a; a.bits = bits; return a; }
