// The names by which compiled code and Python call the watch. Included by watch.cpp.
#pragma once

#include "atomic_calls.h"

using namespace emulator::watch;

#define HOOK extern "C" __attribute__((visibility("hidden")))
#define EXPORT extern "C" __attribute__((visibility("default")))
#define HERE __builtin_return_address(0)

#define WATCH_SIZE(size)                                                                            \
    HOOK void __tsan_read##size(void* p) { access(p, size, false, false, HERE); }                  \
    HOOK void __tsan_write##size(void* p) { access(p, size, true, false, HERE); }                  \
    HOOK void __tsan_unaligned_read##size(void* p) { access(p, size, false, false, HERE); }        \
    HOOK void __tsan_unaligned_write##size(void* p) { access(p, size, true, false, HERE); }        \
    HOOK void __tsan_volatile_read##size(void* p) { access(p, size, false, false, HERE); }         \
    HOOK void __tsan_volatile_write##size(void* p) { access(p, size, true, false, HERE); }
WATCH_SIZE(1)
WATCH_SIZE(2)
WATCH_SIZE(4)
WATCH_SIZE(8)
WATCH_SIZE(16)
HOOK void __tsan_read_range(void* p, size_t n) { access(p, uint32_t(n), false, false, HERE); }
HOOK void __tsan_write_range(void* p, size_t n) { access(p, uint32_t(n), true, false, HERE); }
HOOK void __tsan_init() {}
HOOK void __tsan_func_entry(void*) {}
HOOK void __tsan_func_exit() {}
HOOK void __tsan_vptr_update(void**, void*) {}
HOOK void __tsan_vptr_read(void**) {}
HOOK void* __tsan_memcpy(void* to, const void* from, size_t n) {
    access(from, uint32_t(n), false, false, HERE), access(to, uint32_t(n), true, false, HERE);
    return memcpy(to, from, n);
}
HOOK void* __tsan_memmove(void* to, const void* from, size_t n) {
    access(from, uint32_t(n), false, false, HERE), access(to, uint32_t(n), true, false, HERE);
    return memmove(to, from, n);
}
HOOK void* __tsan_memset(void* to, int value, size_t n) {
    access(to, uint32_t(n), true, false, HERE);
    return memset(to, value, n);
}

// What -fsanitize=alignment,bounds,signed-integer-overflow,integer-divide-by-zero calls.
struct SourcePlace { const char* file; uint32_t line, column; };
struct TypeNamed { uint16_t kind, info; char name[1]; };
struct Mismatch { SourcePlace place; const TypeNamed* type; unsigned char log_alignment, kind; };
struct Arithmetic { SourcePlace place; const TypeNamed* type; };
struct Bounds { SourcePlace place; const TypeNamed *array, *index; };

static bool in_kernel() { return emulator::this_core() && emulator::this_core()->current; }

HOOK void __ubsan_handle_type_mismatch_v1(Mismatch* what, uintptr_t address) {
    if (!in_kernel()) return;
    if (address < 4096) return;  // the access itself will tell
    Event event = here(MISALIGNED, HERE);
    event.size = 1u << what->log_alignment;
    if (Region* region = find(address)) {
        event.region = region->number;
        event.offset = int64_t(address - region->first);
    }
    snprintf(event.text, sizeof event.text, "%s", what->type->name);
    report(event);
    stop(HERE);
}
static void overflown(Arithmetic* what, int64_t a, int64_t b, const char* sign, void* where) {
    if (!in_kernel()) return;
    Event event = here(OVERFLOWN, where);
    if (what->type->info >> 1 <= 5) a = int32_t(a), b = int32_t(b);  // 2^5 bits
    event.values[0] = a, event.values[1] = b;
    snprintf(event.text, sizeof event.text, "%s", sign);
    report(event);
}
HOOK void __ubsan_handle_add_overflow(Arithmetic* w, int64_t a, int64_t b) { overflown(w, a, b, "+", HERE); }
HOOK void __ubsan_handle_sub_overflow(Arithmetic* w, int64_t a, int64_t b) { overflown(w, a, b, "-", HERE); }
HOOK void __ubsan_handle_mul_overflow(Arithmetic* w, int64_t a, int64_t b) { overflown(w, a, b, "*", HERE); }
HOOK void __ubsan_handle_negate_overflow(Arithmetic* w, int64_t a) { overflown(w, 0, a, "-", HERE); }
HOOK void __ubsan_handle_divrem_overflow(Arithmetic*, int64_t, int64_t) {
    if (!in_kernel()) return;
    report(here(DIVISION, HERE));
    stop(HERE);
}
HOOK void __ubsan_handle_out_of_bounds(Bounds* what, int64_t index) {
    if (!in_kernel()) return;
    Event event = here(INDEX, HERE);
    event.values[0] = int32_t(index);
    snprintf(event.text, sizeof event.text, "%s", what->array->name);
    if (report(event)) state->index_event = int64_t(state->events.size()) - 1;
}

static void catch_signals() {
    struct sigaction action{};
    action.sa_sigaction = finish, action.sa_flags = SA_SIGINFO | SA_NODEFER;
    for (int number : {SIGALRM, SIGSEGV, SIGFPE, SIGBUS}) sigaction(number, &action, nullptr);
}

static void find_library() {
    emulator::this_core() = nullptr;  // make sure that this thread has its part of the thread-local memory
    emulator::OwnLibrary own{};
    dl_iterate_phdr(emulator::find_own, &own);
    state->library = own.first, state->tls = uintptr_t(own.thread_memory), state->tls_size = own.thread_size;
}

// What Python calls, around a launch.
EXPORT void minires_watch_setup(const Setup* setup, uint64_t data, uint64_t data_end) {
    delete state;
    state = new State;
    state->setup = *setup;
    state->random = setup->seed * 0x9e3779b97f4a7c15 + 88172645463325252ull;
    find_library();
    state->data = state->library + data, state->data_end = state->library + data_end;
    for (uint64_t i = 0; i < setup->count; i++) {
        RegionGiven given = setup->regions[i];
        uint64_t first = given.first;
        if (given.space == SHARED_ARRAY) first += state->tls;
        if (given.space == DYNAMIC) first = uint64_t(minires_dynamic_shared);
        if (given.space == OBJECT) first += state->library;
        add_region(first, given.size, Space(given.space), given.is_empty != 0);
    }
    catch_signals();
    itimerval limit{{0, 0}, {time_t(setup->patience), 0}};
    setitimer(ITIMER_REAL, &limit, nullptr);
}
EXPORT uint64_t minires_watch_events(const Event** events) {
    itimerval never{};
    setitimer(ITIMER_REAL, &never, nullptr);
    forget_checked_reads();
    *events = state->events.data();
    return state->events.size();
}
EXPORT uint64_t minires_watch_rows(const Row** rows, uint64_t* blocks, uint64_t* barriers) {
    *rows = state->tally.rows.data(), *blocks = state->tally.blocks, *barriers = state->barriers;
    return state->tally.rows.size();
}
// Which bytes of a region have been written -> whether any has.
EXPORT int minires_watch_written(uint64_t index, unsigned char* bytes) {
    Region& r = state->regions[index];
    bool any = false;
    for (size_t i = 0; r.cells && i < r.size; i++)
        any |= bytes[i] = r.cells[i >> r.shift].write.is_there();
    return any;
}
EXPORT void* minires_watch_address(uint64_t index) { return (void*)state->regions[index].first; }
