// nv_bfloat16: the upper half of a float, calculated in float and rounded after each operation.
#pragma once
#include "short_floats.h"

namespace emulator {
struct Brain16 {
    static float widen(uint16_t bits) { return bits_as<float>(uint32_t(bits) << 16); }
    static uint16_t narrow(float x) {
        uint32_t bits = bits_as<uint32_t>(x);
        if (x != x) return uint16_t(bits >> 16 | 0x40);  // rounding could make it infinite
        return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
};
}  // namespace emulator

using __nv_bfloat16 = emulator::ShortFloat<emulator::Brain16>;
using nv_bfloat16 = __nv_bfloat16;
using __nv_bfloat162 = emulator::ShortFloat2<__nv_bfloat16>;
using nv_bfloat162 = __nv_bfloat162;

using __bfloat16_type = nv_bfloat16;
using __bfloat162_type = nv_bfloat162;
EMULATOR_SHORT_FLOAT(bfloat16, bfloat162)
inline nv_bfloat162 __floats2bfloat162_rn(float a, float b) { return {nv_bfloat16(a), nv_bfloat16(b)}; }
inline float2 __bfloat1622float2(nv_bfloat162 a) { return {float(a.x), float(a.y)}; }
