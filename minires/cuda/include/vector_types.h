// CUDA's vector types: float4, int2, uchar3, ..., with their alignment and make_ functions.
#pragma once

#define EMULATOR_VECTOR(T, name, align2, align4)                                            \
    struct name##1 { T x; };                                                                \
    struct alignas(align2) name##2 { T x, y; };                                             \
    struct alignas(align4) name##4 { T x, y, z, w; };                                       \
    constexpr name##1 make_##name##1(T x) { return {x}; }                                   \
    constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }                           \
    constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define EMULATOR_VECTOR_3(T, name)   \
    struct name##3 { T x, y, z; };   \
    constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }

EMULATOR_VECTOR(signed char, char, 2, 4)
EMULATOR_VECTOR(unsigned char, uchar, 2, 4)
EMULATOR_VECTOR(short, short, 4, 8)
EMULATOR_VECTOR(unsigned short, ushort, 4, 8)
EMULATOR_VECTOR(int, int, 8, 16)
EMULATOR_VECTOR(unsigned, uint, 8, 16)
EMULATOR_VECTOR(long, long, 16, 16)
EMULATOR_VECTOR(unsigned long, ulong, 16, 16)
EMULATOR_VECTOR(long long, longlong, 16, 16)
EMULATOR_VECTOR(unsigned long long, ulonglong, 16, 16)
EMULATOR_VECTOR(float, float, 8, 16)
EMULATOR_VECTOR(double, double, 16, 16)
EMULATOR_VECTOR_3(signed char, char)
EMULATOR_VECTOR_3(unsigned char, uchar)
EMULATOR_VECTOR_3(short, short)
EMULATOR_VECTOR_3(unsigned short, ushort)
EMULATOR_VECTOR_3(int, int)
EMULATOR_VECTOR_3(long, long)
EMULATOR_VECTOR_3(unsigned long, ulong)
EMULATOR_VECTOR_3(long long, longlong)
EMULATOR_VECTOR_3(unsigned long long, ulonglong)
EMULATOR_VECTOR_3(float, float)
EMULATOR_VECTOR_3(double, double)
constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
