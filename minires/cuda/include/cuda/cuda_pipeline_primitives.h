// cp.async: copies from global to shared memory that are there after __pipeline_wait_prior only. They
// are read when they are issued and written when they are waited for, so a forgotten wait is seen.
#pragma once
#include <cstdlib>

namespace emulator {

struct AsyncCopy { void* to; unsigned size, batch; char data[16]; };
struct Pipeline { uint64_t turn; unsigned batch, first, count, room; AsyncCopy* copies; };

EMULATOR_OWN inline Pipeline& own_pipeline() {  // of the thread that runs
    static Pipeline* all = (Pipeline*)calloc(MOST_THREADS, sizeof(Pipeline));
    Pipeline& own = all[this_core()->current->linear];
    if (own.turn != this_core()->turn) own.turn = this_core()->turn, own.batch = own.first = own.count = 0;
    return own;
}
EMULATOR_OWN inline void copy_later(void* to, const void* from, size_t size, size_t zeros) {
    void* where = __builtin_return_address(0);
    if (size != 4 && size != 8 && size != 16)
        fail(where, "an asynchronous copy moves 4, 8 or 16 bytes, not %zu", size);
    if (uintptr_t(to) % size || uintptr_t(from) % size)
        fail(where, "an asynchronous copy of %zu bytes needs addresses that are multiples of %zu", size, size);
#if defined(EMULATOR_WATCHED)
    if (zeros < size) announce_access(from, size - zeros, false, where);
#endif
    Pipeline& own = own_pipeline();
    AsyncCopy copy{to, unsigned(size), own.batch, {}};
    memcpy(copy.data, from, size - zeros);
    if (own.count == own.room)
        own.copies = (AsyncCopy*)realloc(own.copies, (own.room = 2 * own.room + 8) * sizeof copy);
    memcpy(&own.copies[own.count++], &copy, sizeof copy);
}
EMULATOR_OWN inline void wait_for_copies(unsigned left) {
    Pipeline& own = own_pipeline();
    while (own.first < own.count && own.copies[own.first].batch + left < own.batch) {
        AsyncCopy& copy = own.copies[own.first++];
#if defined(EMULATOR_WATCHED)
        announce_access(copy.to, copy.size, true, __builtin_return_address(0));
#endif
        memcpy(copy.to, copy.data, copy.size);
    }
    if (own.first == own.count) own.first = own.count = 0;
}

}  // namespace emulator

__forceinline__ void __pipeline_memcpy_async(void* to, const void* from, size_t size, size_t zeros = 0) {
    emulator::copy_later(to, from, size, zeros);
}
EMULATOR_OWN inline void __pipeline_commit() { emulator::own_pipeline().batch++; }
__forceinline__ void __pipeline_wait_prior(unsigned left) { emulator::wait_for_copies(left); }
