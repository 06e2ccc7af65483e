// The functions to which a compiler with -fsanitize=thread announces accesses of memory.
#pragma once
#include "scheduler.h"

#include "atomic_calls.h"

namespace emulator {

EMULATOR_OWN inline void announce(const void* address, size_t size, bool store, void* where) {
    static thread_local bool busy = false;
    if (busy) return;  // an access of the emulator's own
    busy = true;
    Core* core = this_core();
    const Launch* launch = core && core->current ? core->launch : nullptr;
    for (unsigned i = 0; launch && i < launch->ranges_count; i++) {
        uint64_t offset = uintptr_t(address) - launch->ranges[i].first;
        if (offset < launch->ranges[i].end - launch->ranges[i].first) {
            core->counter.access(core->current->linear, i, offset, size, store, where);
            break;
        }
    }
    busy = false;
}

}  // namespace emulator

#define EMULATOR_HOOK(name, size, store)                                                   \
    extern "C" EMULATOR_OWN inline __attribute__((used)) void __tsan_##name(void* p) {     \
        emulator::announce(p, size, store, __builtin_return_address(0));                   \
    }
#define EMULATOR_HOOKS(size)                      \
    EMULATOR_HOOK(read##size, size, false)        \
    EMULATOR_HOOK(write##size, size, true)        \
    EMULATOR_HOOK(unaligned_read##size, size, false) \
    EMULATOR_HOOK(unaligned_write##size, size, true) \
    EMULATOR_HOOK(volatile_read##size, size, false)  \
    EMULATOR_HOOK(volatile_write##size, size, true)
EMULATOR_HOOKS(1)
EMULATOR_HOOKS(2)
EMULATOR_HOOKS(4)
EMULATOR_HOOKS(8)
EMULATOR_HOOKS(16)

EMULATOR_NO_HOOK(void, read_range, void* p, size_t n) {
    emulator::announce(p, n, false, __builtin_return_address(0));
}
EMULATOR_NO_HOOK(void, write_range, void* p, size_t n) {
    emulator::announce(p, n, true, __builtin_return_address(0));
}
EMULATOR_NO_HOOK(void, init) {}
EMULATOR_NO_HOOK(void, func_entry, void*) {}
EMULATOR_NO_HOOK(void, func_exit) {}
EMULATOR_NO_HOOK(void, vptr_update, void**, void*) {}
EMULATOR_NO_HOOK(void, vptr_read, void**) {}
EMULATOR_NO_HOOK(void*, memcpy, void* to, const void* from, size_t n) { return memcpy(to, from, n); }
EMULATOR_NO_HOOK(void*, memset, void* to, int value, size_t n) { return memset(to, value, n); }
EMULATOR_NO_HOOK(void*, memmove, void* to, const void* from, size_t n) { return memmove(to, from, n); }
