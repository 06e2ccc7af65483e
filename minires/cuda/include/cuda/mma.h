// nvcuda::wmma: products of small matrices by a warp. Element i of lane l is element 32 i + l of the
// matrix, row by row; where a GPU keeps it is not said.
#pragma once
#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
namespace precision { struct tf32; }
enum layout_t { mem_row_major, mem_col_major };

template <class T> struct Stored { using type = T; };
template <> struct Stored<precision::tf32> { using type = float; };

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
    static constexpr bool is_a = std::is_same<Use, matrix_a>::value, is_b = std::is_same<Use, matrix_b>::value;
    static constexpr int rows = is_b ? K : M, columns = is_a ? K : N, num_elements = rows * columns / 32;
    using element_type = T;
    typename Stored<T>::type x[num_elements];
};

template <class F, class V> __forceinline__ void fill_fragment(F& f, const V& value) {
    for (auto& x : f.x) x = value;
}

template <class F> __forceinline__ size_t place_in(unsigned ldm, bool by_rows, int i) {
    unsigned at = emulator::me()->lane + 32 * i, row = at / F::columns, column = at % F::columns;
    return by_rows ? size_t(row) * ldm + column : size_t(column) * ldm + row;
}
EMULATOR_OWN inline void check_matrix(const void* p, size_t row, void* where) {
    if (uintptr_t(p) % 32 || row % 16)
        emulator::fail(where, "a matrix of wmma begins at a multiple of 32 bytes and its rows are multiples of 16 "
                       "bytes apart, but it begins %zu bytes behind one and they are %zu bytes apart",
                       size_t(uintptr_t(p) % 32), row);
}
template <class Use, int M, int N, int K, class T, class Layout, class P>
__forceinline__ void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& f, const P* from, unsigned ldm) {
    using F = fragment<Use, M, N, K, T, Layout>;
    check_matrix(from, ldm * sizeof(P), nullptr);
    for (int i = 0; i < F::num_elements; i++)
        f.x[i] = from[place_in<F>(ldm, std::is_same<Layout, row_major>::value, i)];
    __syncwarp();
}
template <int M, int N, int K, class T, class P>
__forceinline__ void load_matrix_sync(fragment<accumulator, M, N, K, T>& f, const P* from, unsigned ldm, layout_t layout) {
    using F = fragment<accumulator, M, N, K, T>;
    check_matrix(from, ldm * sizeof(P), nullptr);
    for (int i = 0; i < F::num_elements; i++) f.x[i] = from[place_in<F>(ldm, layout == mem_row_major, i)];
    __syncwarp();
}
template <int M, int N, int K, class T, class P>
__forceinline__ void store_matrix_sync(P* to, const fragment<accumulator, M, N, K, T>& f, unsigned ldm, layout_t layout) {
    using F = fragment<accumulator, M, N, K, T>;
    check_matrix(to, ldm * sizeof(P), nullptr);
    for (int i = 0; i < F::num_elements; i++) to[place_in<F>(ldm, layout == mem_row_major, i)] = f.x[i];
    __syncwarp();
}

// All elements of a fragment, brought together from the lanes, 32 bytes at a time.
template <class F> EMULATOR_OWN void gather(const F& f, float* all, void* where) {
    using namespace emulator;
    constexpr int AT_ONCE = sizeof(Slot) / sizeof f.x[0];
    Core* core = this_core();
    unsigned own = core->current->linear, base = own - core->current->lane;
    for (int first = 0; first < F::num_elements; first += AT_ONCE) {
        int count = std::min(AT_ONCE, F::num_elements - first);
        memcpy(core->in[own].words, &f.x[first], count * sizeof f.x[0]);
        wait(IN_WARP_OPERATION, ~0u, MMA, where);
        for (unsigned lane = 0; lane < WARP; lane++) {
            typename std::remove_cv<typename std::remove_reference<decltype(f.x[0])>::type>::type part[AT_ONCE];
            memcpy(part, core->out[base + lane].words, count * sizeof part[0]);
            for (int i = 0; i < count; i++) {
                float v = float(part[i]);
                bool is_tf32 = std::is_same<typename F::element_type, precision::tf32>::value;
                all[lane + 32 * (first + i)] = is_tf32 ? as_tf32(bits_as<uint32_t>(v)) : v;
            }
        }
    }
}
template <int M, int N, int K, class A, class LA, class B, class LB, class C, class D>
EMULATOR_OWN void mma_sync(fragment<accumulator, M, N, K, D>& d, const fragment<matrix_a, M, N, K, A, LA>& a,
                           const fragment<matrix_b, M, N, K, B, LB>& b, const fragment<accumulator, M, N, K, C>& c) {
    float left[M * K], right[K * N];
    void* where = __builtin_return_address(0);
    gather(a, left, where), gather(b, right, where);
    for (int i = 0; i < d.num_elements; i++) {
        int at = int(emulator::me()->lane) + 32 * i, row = at / N, column = at % N;
        float sum = float(c.x[i]);
        for (int k = 0; k < K; k++) sum += left[row * K + k] * right[k * N + column];
        d.x[i] = D(sum);
    }
}
inline float __float_to_tf32(float x) { return emulator::as_tf32(emulator::bits_as<uint32_t>(x) + 0x1000); }

}  // namespace nvcuda::wmma
