// CUDA C++ executed on a CPU: every thread of a block is a fibre, a stack of its own on which the
// kernel's code runs until it has to wait for other threads.
//
//     g++ -std=c++17 -O2 -fPIC -shared -x c++ -include emulator.h kernel.cu
//
// Blocks run one after the other (shared among the processor's cores), the threads of a block by
// turns: each runs until a barrier or a warp operation, then the next one. When all whom it concerns
// have arrived, they go on. So a kernel is executed faithfully but for time: registers, shared
// memory, barriers, shuffles, votes and the tensor cores' mma.sync mean what they mean on a GPU.
//
// What a GPU would answer with a hang or with garbage ends here with a message: a barrier that some
// threads never reach, lanes that meet in different warp operations, a shuffle from a lane that
// takes no part. Compiled with -DEMULATOR_CHECKED, so do reads of shared memory that nobody has
// written and indices beyond its end. Out-of-bounds accesses of arrays are AddressSanitizer's part
// (-fsanitize=address), missing barriers ThreadSanitizer's (-fsanitize=thread).
//
// Not emulated: time, weak memory ordering, inline PTX, cp.async, wgmma, grid barriers. Races between
// blocks are found by the watched emulator of `minires cuda` (watch.h).
//
// See docs/decisions/cuda.md, "One file, two ends".
#pragma once
#include <cmath>

#include "shared.h"  // system headers first: they use some of these names themselves
#if defined(EMULATOR_COUNTED)
#include "counting_hooks.h"
#endif

#define CUDA_EMULATOR 1
#define __global__
#define __device__
#define __host__
#define __constant__ __attribute__((used)) static  // may be set from outside
#define __managed__ __attribute__((used)) static
#define __grid_constant__
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __thread  // a core runs one block at a time; see textbook.py

#include "vector_types.h"

namespace emulator {

// Warp operations: deposit a value, meet, read the others'.

__forceinline__ Thread* me() { return this_core()->current; }

template <class T>
EMULATOR_OWN T shuffle(uint32_t mask, T value, Operation operation, unsigned source, bool inside) {
    static_assert(sizeof(T) <= sizeof(Slot), "");
    void* where = __builtin_return_address(0);
    Core* core = this_core();
    Thread* thread = core->current;
    unsigned base = thread->linear - thread->lane;
    memcpy(core->in[thread->linear].words, &value, sizeof value);
    wait(IN_WARP_OPERATION, mask, operation, where);
    if (!inside) return value;
    if (!(thread->took_part >> source & 1))
        fail(where, "a shuffle reads lane %u, which takes no part in it (mask 0x%08x)", source, mask);
    memcpy(&value, core->out[base + source].words, sizeof value);
    return value;
}

EMULATOR_OWN inline uint32_t vote(uint32_t mask, bool yes) {
    Core* core = this_core();
    Thread* thread = core->current;
    unsigned base = thread->linear - thread->lane;
    core->in[thread->linear].words[0] = yes;
    wait(IN_WARP_OPERATION, mask, VOTE, __builtin_return_address(0));
    uint32_t result = 0;
    for (unsigned lane = 0; lane < WARP && base + lane < core->count; lane++)
        if (mask >> lane & 1) result |= core->out[base + lane].words[0] << lane;
    return result;
}

inline float as_tf32(uint32_t bits) {  // the tensor core ignores the low 13 bits
    float value;
    memcpy(&value, &bits, sizeof value);
    if (value != value) return value;
    bits &= 0xffffe000u;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// d (16x8) = a (16x8) b (8x8) + c, spread over the lanes as the PTX manual draws it.
EMULATOR_OWN inline void mma_m16n8k8_tf32(float* d, const uint32_t* a, const uint32_t* b,
                                          const float* c) {
    Core* core = this_core();
    Thread* thread = core->current;
    unsigned base = thread->linear - thread->lane, group = thread->lane >> 2, place = thread->lane & 3;
    uint32_t brought[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    memcpy(core->in[thread->linear].words, brought, sizeof brought);
    wait(IN_WARP_OPERATION, ~0u, MMA, __builtin_return_address(0));
    float result[4] = {c[0], c[1], c[2], c[3]};
    const Slot* lanes = &core->out[base];
    for (unsigned k = 0; k < 8; k++) {
        const uint32_t* row = lanes[group * 4 + (k & 3)].words;
        float a0 = as_tf32(row[k < 4 ? 0 : 2]), a1 = as_tf32(row[k < 4 ? 1 : 3]);
        float b0 = as_tf32(lanes[2 * place * 4 + (k & 3)].words[4 + (k >> 2)]);
        float b1 = as_tf32(lanes[(2 * place + 1) * 4 + (k & 3)].words[4 + (k >> 2)]);
        result[0] += a0 * b0, result[1] += a0 * b1, result[2] += a1 * b0, result[3] += a1 * b1;
    }
    for (int i = 0; i < 4; i++) d[i] = result[i];
}

// IEEE binary16 and back, for processors that do not know it.
inline float widen_half(uint16_t bits) {
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    float size = exponent == 0    ? std::ldexp(float(mantissa), -24)
                 : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                  : std::ldexp(float(mantissa + 1024), exponent - 25);
    return bits >> 15 ? -size : size;
}

inline uint16_t narrow_half(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = bits >> 16 & 0x8000;
    if (x != x) return sign | 0x7e00;
    float size = std::fabs(x);
    if (size >= 65520.0f) return sign | 0x7c00;  // nearer to infinity than to the largest
    int exponent = size < std::ldexp(1.0f, -14) ? -14 : std::ilogb(size);
    int steps = int(std::nearbyint(std::ldexp(size, 10 - exponent)));  // ties to even
    return sign | uint16_t((exponent + 14 << 10) + steps);  // the leading bit adds 1 to the exponent
}

}  // namespace emulator

#define threadIdx (emulator::me()->index)
#define blockIdx (emulator::this_core()->block)
#define blockDim (emulator::this_core()->launch->block)
#define gridDim (emulator::this_core()->launch->grid)
constexpr int warpSize = 32;

EMULATOR_OWN inline void __syncthreads() {
    emulator::wait(emulator::AT_BARRIER, 0, emulator::SYNCWARP, __builtin_return_address(0));
}
EMULATOR_OWN inline void __syncwarp(unsigned mask = ~0u) {
    emulator::wait(
        emulator::IN_WARP_OPERATION, mask, emulator::SYNCWARP, __builtin_return_address(0));
}
#if !defined(EMULATOR_WATCHED)
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#else
void __threadfence();  // watch.h: what this thread has written may now be published
#endif
inline void __threadfence_block() { __threadfence(); }
inline void __threadfence_system() { __threadfence(); }
template <class T>
__forceinline__ T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    unsigned own = emulator::me()->lane;
    return emulator::shuffle(
        mask, value, emulator::SHUFFLE, (own & ~(width - 1)) | (lane & (width - 1)), true);
}
template <class T>
__forceinline__ T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32) {
    unsigned own = emulator::me()->lane, source = own ^ distance;
    return emulator::shuffle(mask, value, emulator::SHUFFLE_XOR, source,
                             (source & ~(width - 1)) <= (own & ~(width - 1)));
}
template <class T>
__forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    unsigned own = emulator::me()->lane;
    return emulator::shuffle(mask, value, emulator::SHUFFLE_DOWN, own + distance,
                             (own & (width - 1)) + distance < unsigned(width));
}
template <class T>
__forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    unsigned own = emulator::me()->lane;
    return emulator::shuffle(mask, value, emulator::SHUFFLE_UP, own - distance,
                             (own & (width - 1)) >= distance);
}
__forceinline__ unsigned __ballot_sync(unsigned mask, int yes) { return emulator::vote(mask, yes); }
__forceinline__ int __any_sync(unsigned mask, int yes) { return emulator::vote(mask, yes) != 0; }
__forceinline__ int __all_sync(unsigned mask, int yes) { return emulator::vote(mask, !yes) == 0; }

#include "atomics.h"

template <class T> __forceinline__ T __ldg(const T* place) { return *place; }
template <class T, class U> constexpr std::common_type_t<T, U> min(T a, U b) { return a < b ? a : b; }
template <class T, class U> constexpr std::common_type_t<T, U> max(T a, U b) { return a > b ? a : b; }
inline float min(float a, float b) { return std::fmin(a, b); }  // a NaN loses, as on a GPU
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
EMULATOR_OWN inline void check_four(const void* p, void* where) {
    if (uintptr_t(p) % 16)
        emulator::fail(where, "four numbers are accessed at %zu bytes beyond a multiple of 16",
                       size_t(uintptr_t(p) % 16));
}
EMULATOR_OWN inline float4 load4(const float* p) {
    check_four(p, __builtin_return_address(0));
#if defined(EMULATOR_COUNTED)
    emulator::announce(p, 16, false, __builtin_return_address(0));
#endif
    return {p[0], p[1], p[2], p[3]};
}
EMULATOR_OWN inline void store4(float* p, float4 value) {
    check_four(p, __builtin_return_address(0));
#if defined(EMULATOR_COUNTED)
    emulator::announce(p, 16, true, __builtin_return_address(0));
#endif
    p[0] = value.x, p[1] = value.y, p[2] = value.z, p[3] = value.w;
}
#include "intrinsics.h"
#if defined(EMULATOR_WATCHED)
#include "runtime.h"
#endif

namespace emulator {
constexpr int first(int threads, int = 0, int = 0) { return threads; }  // of __launch_bounds__
}

#define EMULATOR_EXPORT(symbol, ...)                                                            \
    extern "C" __attribute__((visibility("default")))                                          \
    void* symbol(const unsigned* grid, const unsigned* block, size_t dynamic_bytes,            \
                 void** arguments, const emulator::Range* ranges, unsigned ranges_count,       \
                 unsigned cores, bool reverse, char* message, size_t message_size,             \
                 emulator::Counts* counts) {                                                   \
        return emulator::launch(&__VA_ARGS__, grid, block, dynamic_bytes, arguments, ranges,   \
                                ranges_count, cores, reverse, message, message_size, counts);  \
    }
