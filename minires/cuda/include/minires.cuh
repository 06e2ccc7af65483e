// What differs between a GPU and the emulator, and what several kernels share.
#pragma once

// Marks a kernel's pointer that may be null, None in Python: `OPTIONAL const float* residual`.
#define OPTIONAL

#if !defined(CUDA_EMULATOR)
#define SHARED(T, name, count) __shared__ T name[count]
#define DYNAMIC_SHARED(T, name)                                   \
    extern __shared__ __align__(16) unsigned char name##_bytes[]; \
    T* const name = reinterpret_cast<T*>(name##_bytes)
#endif

constexpr unsigned ALL_LANES = 0xffffffffu;

// Four neighbours in one instruction; p is a multiple of 16 bytes.
#if !defined(CUDA_EMULATOR)
__device__ __forceinline__ float4 load4(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ __forceinline__ void store4(float* p, float4 value) { *reinterpret_cast<float4*>(p) = value; }
#endif

// x to the nearest tf32 (10 bits of mantissa), ties away from zero, as bits.
__device__ __forceinline__ unsigned to_tf32(float x) {
#if defined(CUDA_EMULATOR)
    return x != x ? 0x7fffe000u : (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
#elif __CUDA_ARCH__ < 800
    return __float_as_uint(x);  // never launched: these GPUs have no tf32
#else
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
#endif
}

// d (16x8) += a (16x8) b (8x8) on a tensor core, by all 32 lanes together. Lane l holds, with
// g = l / 4 and t = l % 4: a[g][t], a[g+8][t], a[g][t+4], a[g+8][t+4]; b[t][g], b[t+4][g];
// d[g][2t], d[g][2t+1], d[g+8][2t], d[g+8][2t+1]. (PTX ISA, mma.m16n8k8 with .tf32)
__device__ __forceinline__ void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if defined(CUDA_EMULATOR)
    emulator::mma_m16n8k8_tf32(d, a, b, d);
#elif __CUDA_ARCH__ >= 800
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// The sum over a warp, in every lane: five exchanges, always in the same order.
template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
    for (int distance = 16; distance > 0; distance /= 2)
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    return value;
}

// max(x, 0); a NaN stays one.
template <typename T>
__device__ __forceinline__ T rectified(T x) { return x < T(0) ? T(0) : x; }

// What another block of the same launch has written: never from a cache that does not know it.
template <typename T>
__device__ __forceinline__ T load_fresh(const T* p) {
    return *reinterpret_cast<const volatile T*>(p);
}

#include "storage.cuh"
