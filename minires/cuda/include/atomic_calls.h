// Atomic operations, as a compiler with -fsanitize=thread calls them.
#pragma once
#include <cstdint>

#define EMULATOR_NO_HOOK(type, name, ...) \
    extern "C" EMULATOR_OWN inline __attribute__((used)) type __tsan_##name(__VA_ARGS__)

// They are done, and neither counted nor watched.
#define EMULATOR_ATOMICS(bits)                                                                     \
    EMULATOR_NO_HOOK(uint##bits##_t, atomic##bits##_load, const volatile uint##bits##_t* p, int) { \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                               \
    }                                                                                              \
    EMULATOR_NO_HOOK(void, atomic##bits##_store, volatile uint##bits##_t* p, uint##bits##_t v, int) { \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                  \
    }                                                                                              \
    EMULATOR_NO_HOOK(uint##bits##_t, atomic##bits##_exchange, volatile uint##bits##_t* p,          \
                     uint##bits##_t v, int) {                                                      \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                        \
    }                                                                                              \
    EMULATOR_NO_HOOK(uint##bits##_t, atomic##bits##_fetch_add, volatile uint##bits##_t* p,         \
                     uint##bits##_t v, int) {                                                      \
        return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                         \
    }                                                                                              \
    EMULATOR_NO_HOOK(int, atomic##bits##_compare_exchange_strong, volatile uint##bits##_t* p,      \
                     uint##bits##_t* expected, uint##bits##_t v, int, int) {                       \
        return __atomic_compare_exchange_n(                                                        \
            p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                            \
    }                                                                                              \
    EMULATOR_NO_HOOK(uint##bits##_t, atomic##bits##_compare_exchange_val,                          \
                     volatile uint##bits##_t* p, uint##bits##_t expected, uint##bits##_t v, int, int) { \
        __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);   \
        return expected;                                                                           \
    }
EMULATOR_NO_HOOK(void, atomic_thread_fence, int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
EMULATOR_ATOMICS(8)
EMULATOR_ATOMICS(16)
EMULATOR_ATOMICS(32)
EMULATOR_ATOMICS(64)
