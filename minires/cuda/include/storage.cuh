// Numbers in memory and numbers to calculate with: the same, or of half length and float.
#pragma once

// Numbers of half length, as they lie in memory. Nobody calculates with them: `widen` makes a float of
// one, `narrow` rounds one to the nearest of them (ties to even).
struct half16 { unsigned short bits; };    // IEEE binary16: 5 bits of exponent, 10 of mantissa
struct bfloat16 { unsigned short bits; };  // the upper half of a float: 8 and 7

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ double widen(double x) { return x; }
__device__ __forceinline__ float widen(bfloat16 x) { return __uint_as_float(unsigned(x.bits) << 16); }
__device__ __forceinline__ float widen(half16 x) {
#if defined(CUDA_EMULATOR)
    return emulator::widen_half(x.bits);
#else
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
    return wide;
#endif
}

template <typename S>
struct Narrow {
    static __device__ __forceinline__ S from(S x) { return x; }
};
template <>
struct Narrow<bfloat16> {
    static __device__ __forceinline__ bfloat16 from(float x) {
        const unsigned bits = __float_as_uint(x);
        if (x != x) return {(unsigned short)(bits >> 16 | 0x40)};  // rounding could make it infinite
        return {(unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
    }
};
template <>
struct Narrow<half16> {
    static __device__ __forceinline__ half16 from(float x) {
#if defined(CUDA_EMULATOR)
        return {emulator::narrow_half(x)};
#else
        half16 result;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
        return result;
#endif
    }
};
template <typename S, typename T>
__device__ __forceinline__ S narrow(T x) { return Narrow<S>::from(x); }

// Two and four neighbours in memory in one instruction, as far as their type allows. p is a multiple
// of their bytes, up to 16.
template <typename T>
struct Four { T at[4]; };

template <typename T, typename S>
__device__ __forceinline__ Four<T> load_four(const S* p) {
    Four<T> four;
    if constexpr (sizeof(S) == 2) {
        const unsigned long long bits = *reinterpret_cast<const unsigned long long*>(p);
        for (int i = 0; i < 4; i++) four.at[i] = widen(S{(unsigned short)(bits >> 16 * i)});
    } else if constexpr (sizeof(S) == 4) {
        const float4 values = load4(p);
        four.at[0] = values.x, four.at[1] = values.y, four.at[2] = values.z, four.at[3] = values.w;
    } else {
        for (int i = 0; i < 4; i++) four.at[i] = p[i];
    }
    return four;
}

// The first `count` of four, zeros for the others.
template <typename T, typename S>
__device__ __forceinline__ Four<T> load_some(const S* p, int count) {
    if (count >= 4 && count % 4 == 0) return load_four<T>(p);
    Four<T> four = {};
    for (int i = 0; i < 4 && i < count; i++) four.at[i] = widen(p[i]);
    return four;
}

template <typename S, typename T>
__device__ __forceinline__ void store_four(S* p, Four<T> four) {
    if constexpr (sizeof(S) == 2) {
        unsigned long long bits = 0;
        for (int i = 0; i < 4; i++) bits |= (unsigned long long)narrow<S>(four.at[i]).bits << 16 * i;
        *reinterpret_cast<unsigned long long*>(p) = bits;
    } else if constexpr (sizeof(S) == 4) {
        store4(p, make_float4(four.at[0], four.at[1], four.at[2], four.at[3]));
    } else {
        for (int i = 0; i < 4; i++) p[i] = four.at[i];
    }
}

// The first `count` of four.
template <typename S, typename T>
__device__ __forceinline__ void store_some(S* p, Four<T> four, int count) {
    if (count >= 4 && count % 4 == 0)
        store_four(p, four);
    else
        for (int i = 0; i < 4 && i < count; i++) p[i] = narrow<S>(four.at[i]);
}

template <typename S, typename T>
__device__ __forceinline__ void store_two(S* p, const T* two) {
    if constexpr (sizeof(S) == 2) {
        const unsigned low = narrow<S>(two[0]).bits, high = narrow<S>(two[1]).bits;
        *reinterpret_cast<unsigned*>(p) = low | high << 16;
    } else if constexpr (sizeof(S) == 4) {
        *reinterpret_cast<float2*>(p) = make_float2(two[0], two[1]);
    } else {
        p[0] = two[0], p[1] = two[1];
    }
}
