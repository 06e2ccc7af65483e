// Atomic operations. All are one: replace a number by a function of it, and answer what it was.
#pragma once

namespace emulator {

#if defined(EMULATOR_WATCHED)
void announce_atomic(const void* place, size_t size, bool store, void* where);
void announce_access(const void* place, size_t size, bool store, void* where);
void announce_check(const void* place, void* where);
#define EMULATOR_ATOMIC EMULATOR_OWN
#define EMULATOR_ANNOUNCE(place) \
    emulator::announce_atomic((const void*)(place), sizeof *(place), true, __builtin_return_address(0))
#define EMULATOR_CHECKS(place) emulator::announce_check((const void*)(place), __builtin_return_address(0))
#else
#define EMULATOR_ATOMIC inline
#define EMULATOR_ANNOUNCE(place)
#define EMULATOR_CHECKS(place) ((void)0)
#endif

template <class T> struct Same { using type = T; };
template <class T> using As = typename Same<T>::type;  // converted, not deduced: atomicAdd(&n, 1)

template <class T, class F>
__forceinline__ T atomically(T* place, F change) {
    T before, after;
    __atomic_load(place, &before, __ATOMIC_RELAXED);
    do after = change(before);
    while (!__atomic_compare_exchange(
        place, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
}

}  // namespace emulator

#define EMULATOR_ATOMICALLY(name, expression)                                                   \
    template <class T> EMULATOR_ATOMIC T atomic##name(T* place, emulator::As<T> value) {        \
        if (#name[0] == 'M') EMULATOR_CHECKS(place); /* Min, Max */                             \
        EMULATOR_ANNOUNCE(place);                                                               \
        return emulator::atomically(place, [=](T old) -> T { return expression; });             \
    }                                                                                           \
    template <class T> EMULATOR_ATOMIC T atomic##name##_block(T* place, emulator::As<T> value) { \
        EMULATOR_ANNOUNCE(place);                                                               \
        return emulator::atomically(place, [=](T old) -> T { return expression; });             \
    }                                                                                           \
    template <class T> EMULATOR_ATOMIC T atomic##name##_system(T* place, emulator::As<T> value) { \
        EMULATOR_ANNOUNCE(place);                                                               \
        return emulator::atomically(place, [=](T old) -> T { return expression; });             \
    }

EMULATOR_ATOMICALLY(Add, old + value)
EMULATOR_ATOMICALLY(Sub, old - value)
EMULATOR_ATOMICALLY(Exch, value)
EMULATOR_ATOMICALLY(Min, value < old ? value : old)
EMULATOR_ATOMICALLY(Max, value > old ? value : old)
EMULATOR_ATOMICALLY(And, old & value)
EMULATOR_ATOMICALLY(Or, old | value)
EMULATOR_ATOMICALLY(Xor, old ^ value)
EMULATOR_ATOMICALLY(Inc, old >= value ? T(0) : T(old + 1))
EMULATOR_ATOMICALLY(Dec, old == 0 || old > value ? value : T(old - 1))

template <class T>
EMULATOR_ATOMIC T atomicCAS(T* place, emulator::As<T> expected, emulator::As<T> value) {
    EMULATOR_CHECKS(place);
    EMULATOR_ANNOUNCE(place);
    return emulator::atomically(place, [=](T old) -> T { return old == expected ? value : old; });
}
