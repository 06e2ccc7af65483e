// The functions that CUDA C++ has and C++ has not, or has in std only.
#pragma once
#include <cassert>
#include <climits>
#include <ctime>

using std::abs;   using std::acos;  using std::asin;  using std::atan;     using std::atan2;
using std::cbrt;  using std::ceil;  using std::cos;   using std::cosh;     using std::erf;
using std::erfc;  using std::exp;   using std::exp2;  using std::expm1;    using std::fabs;
using std::floor; using std::fma;   using std::fmod;  using std::hypot;    using std::isfinite;
using std::isinf; using std::isnan; using std::log;   using std::log10;    using std::log1p;
using std::log2;  using std::pow;   using std::rint;  using std::round;    using std::signbit;
using std::sin;   using std::sinh;  using std::sqrt;  using std::tan;      using std::tanh;
using std::trunc; using std::copysign;

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline float exp10f(float x) { return std::pow(10.0f, x); }
inline double normcdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }
inline float normcdff(float x) { return float(normcdf(double(x))); }
inline float sinpif(float x) { return float(std::sin(3.14159265358979323846 * x)); }
inline float cospif(float x) { return float(std::cos(3.14159265358979323846 * x)); }
inline double sinpi(double x) { return std::sin(3.14159265358979323846 * x); }
inline double cospi(double x) { return std::cos(3.14159265358979323846 * x); }
inline float fdividef(float a, float b) { return a / b; }
inline float norm3df(float a, float b, float c) { return std::sqrt(a * a + b * b + c * c); }

// Fast versions: a GPU's are less exact than these.
inline float __expf(float x) { return std::exp(x); }
inline float __exp10f(float x) { return std::pow(10.0f, x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __log10f(float x) { return std::log10(x); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __tanf(float x) { return std::tan(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __fdividef(float a, float b) { return a / b; }
inline void __sincosf(float x, float* s, float* c) { *s = std::sin(x), *c = std::cos(x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

// One rounding each, to the nearest: no product and sum are contracted.
#define EMULATOR_ROUNDED(T, prefix)                                                              \
    inline T __##prefix##add_rn(T a, T b) { volatile T c = a + b; return c; }                    \
    inline T __##prefix##sub_rn(T a, T b) { volatile T c = a - b; return c; }                    \
    inline T __##prefix##mul_rn(T a, T b) { volatile T c = a * b; return c; }                    \
    inline T __##prefix##div_rn(T a, T b) { return a / b; }                                      \
    inline T __##prefix##rcp_rn(T a) { return T(1) / a; }                                        \
    inline T __##prefix##sqrt_rn(T a) { return std::sqrt(a); }
EMULATOR_ROUNDED(float, f)
EMULATOR_ROUNDED(double, d)
inline float __frsqrt_rn(float a) { return 1.0f / std::sqrt(a); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }

namespace emulator {
template <class To, class From> To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
template <class To, class From> To to_whole(From x) {  // beyond the range: its end; a NaN: 0
    if (x != x) return 0;
    constexpr To low = std::is_signed<To>::value ? To(1) << (8 * sizeof(To) - 1) : To(0);
    if (x <= From(low)) return low;
    return x >= From(To(~low)) ? To(~low) : To(x);
}
}  // namespace emulator

inline int __float_as_int(float x) { return emulator::bits_as<int>(x); }
inline float __int_as_float(int x) { return emulator::bits_as<float>(x); }
inline long long __double_as_longlong(double x) { return emulator::bits_as<long long>(x); }
inline double __longlong_as_double(long long x) { return emulator::bits_as<double>(x); }
#define EMULATOR_TO_WHOLE(from, F, to, T)                                                              \
    inline T __##from##2##to##_rn(F x) { return emulator::to_whole<T>(std::nearbyint(x)); }            \
    inline T __##from##2##to##_rz(F x) { return emulator::to_whole<T>(std::trunc(x)); }                \
    inline T __##from##2##to##_rd(F x) { return emulator::to_whole<T>(std::floor(x)); }                \
    inline T __##from##2##to##_ru(F x) { return emulator::to_whole<T>(std::ceil(x)); }
EMULATOR_TO_WHOLE(float, float, int, int)
EMULATOR_TO_WHOLE(float, float, uint, unsigned)
EMULATOR_TO_WHOLE(float, float, ll, long long)
EMULATOR_TO_WHOLE(float, float, ull, unsigned long long)
EMULATOR_TO_WHOLE(double, double, int, int)
EMULATOR_TO_WHOLE(double, double, uint, unsigned)
EMULATOR_TO_WHOLE(double, double, ll, long long)
EMULATOR_TO_WHOLE(double, double, ull, unsigned long long)
inline float __int2float_rn(int x) { return float(x); }
inline float __uint2float_rn(unsigned x) { return float(x); }
inline float __ll2float_rn(long long x) { return float(x); }
inline float __ull2float_rn(unsigned long long x) { return float(x); }
inline double __int2double_rn(int x) { return x; }
inline double __uint2double_rn(unsigned x) { return x; }
inline double __ll2double_rn(long long x) { return double(x); }
inline float __double2float_rn(double x) { return float(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(unsigned x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(unsigned long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned result = 0;
    for (int i = 0; i < 32; i++) result |= (x >> i & 1) << (31 - i);
    return result;
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    unsigned long long bytes = (unsigned long long)b << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) result |= unsigned(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    return result;
}
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline int __mul24(int a, int b) { return int((long long)(a << 8 >> 8) * (b << 8 >> 8)); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }
inline unsigned __sad(int a, int b, unsigned c) { return c + unsigned(a > b ? a - b : b - a); }
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return unsigned(((unsigned long long)high << 32 | low) << (by & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return unsigned(((unsigned long long)high << 32 | low) >> (by & 31));
}

template <class T> __forceinline__ T __ldca(const T* p) { return *p; }
template <class T> __forceinline__ T __ldcg(const T* p) { return *p; }
template <class T> __forceinline__ T __ldcs(const T* p) { return *p; }
template <class T> __forceinline__ void __stcg(T* p, emulator::As<T> value) { *p = value; }
template <class T> __forceinline__ void __stcs(T* p, emulator::As<T> value) { *p = value; }

inline long long clock64() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

namespace emulator {

// What every lane of a warp operation brings, in the lanes' order; only those of the mask count.
template <class T> struct Brought { T of[WARP]; uint32_t mask; };

template <class T>
EMULATOR_OWN Brought<T> bring(uint32_t mask, T value) {
    void* where = __builtin_return_address(0);
    Core* core = this_core();
    Thread* thread = core->current;
    unsigned base = thread->linear - thread->lane;
    memcpy(core->in[thread->linear].words, &value, sizeof value);
    wait(IN_WARP_OPERATION, mask, VOTE, where);
    Brought<T> all{};
    all.mask = mask;
    for (unsigned lane = 0; lane < WARP && base + lane < core->count; lane++)
        if (mask >> lane & 1) memcpy(&all.of[lane], core->out[base + lane].words, sizeof(T));
    return all;
}

template <class T, class F>
T reduce(const Brought<T>& all, F f) {
    T result{};
    bool first = true;
    for (unsigned lane = 0; lane < WARP; lane++)
        if (all.mask >> lane & 1) result = first ? all.of[lane] : f(result, all.of[lane]), first = false;
    return result;
}

// A sum over the block, by two barriers: what every __syncthreads_ function is made of.
EMULATOR_OWN inline int sum_over_block(int value) {
    void* where = __builtin_return_address(0);
    Core* core = this_core();
    core->in[core->current->linear].words[0] = uint32_t(value);
    wait(AT_BARRIER, 0, SYNCWARP, where);
    int sum = 0;
    for (unsigned i = 0; i < core->count; i++) sum += int(core->in[i].words[0]);
    wait(AT_BARRIER, 0, SYNCWARP, where);
    return sum;
}

EMULATOR_OWN inline void assertion(const char* what) {
    fail(__builtin_return_address(0), "the assertion %s does not hold", what);
}

}  // namespace emulator

template <class T> __forceinline__ unsigned __match_any_sync(unsigned mask, T value) {
    auto all = emulator::bring(mask, value);
    unsigned result = 0;
    for (unsigned lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && all.of[lane] == value) result |= 1u << lane;
    return result;
}
template <class T> __forceinline__ unsigned __match_all_sync(unsigned mask, T value, int* all_equal) {
    *all_equal = __match_any_sync(mask, value) == mask;
    return *all_equal ? mask : 0;
}
#define EMULATOR_REDUCE(name, expression)                                                        \
    template <class T> __forceinline__ T __reduce_##name##_sync(unsigned mask, T value) {        \
        return emulator::reduce(emulator::bring(mask, value), [](T a, T b) -> T { return expression; }); \
    }
EMULATOR_REDUCE(add, a + b)
EMULATOR_REDUCE(min, b < a ? b : a)
EMULATOR_REDUCE(max, b > a ? b : a)
EMULATOR_REDUCE(and, a & b)
EMULATOR_REDUCE(or, a | b)
EMULATOR_REDUCE(xor, a ^ b)

__forceinline__ int __syncthreads_count(int yes) { return emulator::sum_over_block(yes != 0); }
__forceinline__ int __syncthreads_or(int yes) { return emulator::sum_over_block(yes != 0) != 0; }
__forceinline__ int __syncthreads_and(int yes) { return emulator::sum_over_block(yes == 0) == 0; }

EMULATOR_OWN inline void __trap() {
    emulator::fail(__builtin_return_address(0), "__trap() ends the kernel");
}
inline void __nanosleep(unsigned) {}
#undef assert
#define assert(condition) ((condition) ? (void)0 : emulator::assertion(#condition))
