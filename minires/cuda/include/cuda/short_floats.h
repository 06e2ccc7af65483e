// Numbers of 16 bits and pairs of them, whose arithmetic is a float's, rounded each time.
#pragma once

namespace emulator {

template <class Format>
struct ShortFloat {
    uint16_t bits;
    ShortFloat() = default;
    ShortFloat(float x) : bits(Format::narrow(x)) {}
    ShortFloat(double x) : bits(Format::narrow(float(x))) {}
    ShortFloat(int x) : bits(Format::narrow(float(x))) {}
    ShortFloat(unsigned x) : bits(Format::narrow(float(x))) {}
    operator float() const { return Format::widen(bits); }
    ShortFloat operator-() const { return -float(*this); }
    ShortFloat& operator+=(ShortFloat b) { return *this = float(*this) + float(b); }
    ShortFloat& operator-=(ShortFloat b) { return *this = float(*this) - float(b); }
    ShortFloat& operator*=(ShortFloat b) { return *this = float(*this) * float(b); }
    ShortFloat& operator/=(ShortFloat b) { return *this = float(*this) / float(b); }
    friend ShortFloat operator+(ShortFloat a, ShortFloat b) { return float(a) + float(b); }
    friend ShortFloat operator-(ShortFloat a, ShortFloat b) { return float(a) - float(b); }
    friend ShortFloat operator*(ShortFloat a, ShortFloat b) { return float(a) * float(b); }
    friend ShortFloat operator/(ShortFloat a, ShortFloat b) { return float(a) / float(b); }
    friend bool operator<(ShortFloat a, ShortFloat b) { return float(a) < float(b); }
    friend bool operator>(ShortFloat a, ShortFloat b) { return float(a) > float(b); }
    friend bool operator<=(ShortFloat a, ShortFloat b) { return float(a) <= float(b); }
    friend bool operator>=(ShortFloat a, ShortFloat b) { return float(a) >= float(b); }
    friend bool operator==(ShortFloat a, ShortFloat b) { return float(a) == float(b); }
    friend bool operator!=(ShortFloat a, ShortFloat b) { return float(a) != float(b); }
};

template <class S>
struct alignas(4) ShortFloat2 { S x, y; };

}  // namespace emulator

#define EMULATOR_SHORT_FLOAT(one, two)                                                             \
    inline __##one##_type __float2##one(float a) { return a; }                                     \
    inline __##one##_type __float2##one##_rn(float a) { return a; }                                \
    inline float __##one##2float(__##one##_type a) { return a; }                                   \
    inline float __low2float(__##two##_type a) { return a.x; }                                     \
    inline float __high2float(__##two##_type a) { return a.y; }                                    \
    inline __##one##_type __low2##one(__##two##_type a) { return a.x; }                            \
    inline __##one##_type __high2##one(__##two##_type a) { return a.y; }                           \
    inline __##one##_type __hadd(__##one##_type a, __##one##_type b) { return a + b; }             \
    inline __##one##_type __hsub(__##one##_type a, __##one##_type b) { return a - b; }             \
    inline __##one##_type __hmul(__##one##_type a, __##one##_type b) { return a * b; }             \
    inline __##one##_type __hdiv(__##one##_type a, __##one##_type b) { return a / b; }             \
    inline __##one##_type __hneg(__##one##_type a) { return -a; }                                  \
    inline __##one##_type __habs(__##one##_type a) { return std::fabs(float(a)); }                 \
    inline __##one##_type __hmax(__##one##_type a, __##one##_type b) { return a > b ? a : b; }     \
    inline __##one##_type __hmin(__##one##_type a, __##one##_type b) { return a < b ? a : b; }     \
    inline __##one##_type hexp(__##one##_type a) { return std::exp(float(a)); }                    \
    inline __##one##_type hsqrt(__##one##_type a) { return std::sqrt(float(a)); }                  \
    inline __##one##_type __hfma(__##one##_type a, __##one##_type b, __##one##_type c) {           \
        return std::fma(float(a), float(b), float(c));                                             \
    }                                                                                              \
    inline bool __hlt(__##one##_type a, __##one##_type b) { return a < b; }                        \
    inline bool __hgt(__##one##_type a, __##one##_type b) { return a > b; }                        \
    inline bool __heq(__##one##_type a, __##one##_type b) { return a == b; }                       \
    inline __##two##_type __hadd2(__##two##_type a, __##two##_type b) { return {a.x + b.x, a.y + b.y}; } \
    inline __##two##_type __hsub2(__##two##_type a, __##two##_type b) { return {a.x - b.x, a.y - b.y}; } \
    inline __##two##_type __hmul2(__##two##_type a, __##two##_type b) { return {a.x * b.x, a.y * b.y}; } \
    inline __##two##_type __hfma2(__##two##_type a, __##two##_type b, __##two##_type c) {          \
        return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};                                     \
    }
