// A program's beginning and end: what Python has prepared is read, what was found is written.
//
// The folder $MINIRES_PROGRAM holds `setup`; `result` is left there. The linker puts main() below
// before the program's own (--wrap=main). Included by watch.cpp.
#pragma once
#include <unistd.h>

namespace emulator::runtime {

struct Setting { uint64_t seed; uint32_t preempt, shadow, tally, patience; uint64_t count, data, data_end; };
struct Known { uint64_t first, size; uint32_t space, is_empty; char name[64]; };
struct Seen { char name[64]; uint64_t size, item, made, freed; uint32_t space, is_empty; };

template <class T> static void put(FILE* file, const std::vector<T>& rows) {
    uint64_t count = rows.size();
    fwrite(&count, sizeof count, 1, file), fwrite(rows.data(), sizeof(T), count, file);
}

static void write_result() {
    static bool is_written = false;
    const char* folder = getenv("MINIRES_PROGRAM");
    if (is_written || !folder) return;
    is_written = true, program->busy = true;
    forget_checked_reads();
    FILE* file = fopen((std::string(folder) + "/result").c_str(), "wb");
    if (!file) return;
    std::vector<Seen> regions;
    for (Region& r : state->regions) {
        Seen s{"", r.size, r.item, in_library(r.made), in_library(r.freed), r.space, r.is_empty};
        snprintf(s.name, sizeof s.name, "%s", r.name.c_str());
        regions.push_back(s);
    }
    put(file, program->notes), put(file, state->events), put(file, regions), put(file, *launches);
    put(file, state->tally.rows);
    std::vector<uint64_t> counts{state->tally.blocks, state->barriers, program->sticky};
    put(file, counts);
    fclose(file);
}
static void look_back(int status) {  // at what the program has left undone
    for (Failure& f : program->failures)
        if (!f.asked)
            note("unchecked error", f.where, nullptr, "%s fails with \"%s\", but the program never asks for its "
                 "error: %s", f.call, cudaGetErrorString(f.error),
                 strcmp(f.call, "the launch") ? "it is the call's value" : "cudaGetLastError() returns it");
    for (Region& r : state->regions)
        if (r.made && !r.freed && !status && !program->sticky && program->failures.empty())
            note("leak", r.made, nullptr, "%s (%zu bytes) is never freed: %s does that", r.name.c_str(), r.size,
                 r.space == watch::PINNED ? "cudaFreeHost" : "cudaFree");
    write_result();
}
static void leave(int status) {
    fflush(nullptr);
    look_back(status);
    _exit(status);
}

}  // namespace emulator::runtime

static void emulator::watch::host_ends(int number, void* context) {
    using namespace emulator::runtime;
#if defined(__x86_64__)
    void* where = (void*)((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
#else
    void* where = (void*)((ucontext_t*)context)->uc_mcontext.pc;
#endif
    if (uintptr_t(where) - state->library > (64 << 20)) where = last_where;
    else where = (char*)where + 1;
    if (number == SIGTERM) note("endless loop", where, nullptr, "the host still runs when the time is over");
    else if (number == SIGABRT) note("crash", where, nullptr, "the program is aborted");
    else note("crash", where, nullptr, "the host part ends with %s", strsignal(number));
    leave(128 + number);
}

namespace emulator::runtime {

static void begin(const char* folder) {
    FILE* file = fopen((std::string(folder) + "/setup").c_str(), "rb");
    Setting s{};
    if (!file || fread(&s, sizeof s, 1, file) != 1) _exit(3);
    state->setup.seed = s.seed, state->setup.preempt = s.preempt, state->setup.shadow = s.shadow;
    state->setup.tally = s.tally, state->setup.patience = s.patience;
    state->random = s.seed * 0x9e3779b97f4a7c15 + 88172645463325252ull;
    find_library();
    state->data = state->library + s.data, state->data_end = state->library + s.data_end;
    for (uint64_t i = 0; i < s.count; i++) {
        Known k;
        if (fread(&k, sizeof k, 1, file) != 1) _exit(3);
        uint64_t first = k.first + (k.space == SHARED_ARRAY ? state->tls : state->library);
        if (k.space == DYNAMIC) first = uint64_t(minires_dynamic_shared);
        add_region(first, k.size, Space(k.space), k.is_empty != 0).name = k.name;
    }
    fclose(file);
    state->blocks_before = 1;  // block 0 is the host
    catch_signals();
    for (int number : {SIGABRT, SIGTERM}) {
        struct sigaction action{};
        action.sa_sigaction = [](int number, siginfo_t*, void* context) { host_ends(number, context); };
        action.sa_flags = SA_SIGINFO;
        sigaction(number, &action, nullptr);
    }
    state->is_program = true;
}

static void at_exit(int status, void*) { fflush(nullptr), look_back(status); }

}  // namespace emulator::runtime

extern "C" int __real_main(int, char**) __attribute__((weak));  // a library has none
extern "C" int __wrap_main(int count, char** values) {
    if (const char* folder = getenv("MINIRES_PROGRAM")) emulator::runtime::begin(folder);
    on_exit(emulator::runtime::at_exit, nullptr);
    return __real_main(count, values);
}

// What the program's own code calls in place of memcpy, malloc, ... (build.py): copies are looked at
// as other accesses are, and the sizes of blocks are known.
#define ANNOUNCED(p, n, store) \
    if (n && !emulator::this_core()) emulator::watch::access(p, uint32_t(n), store, false, __builtin_return_address(0));
HOOK void* minires_memcpy(void* to, const void* from, size_t n) {
    ANNOUNCED(from, n, false) ANNOUNCED(to, n, true)
    return memcpy(to, from, n);
}
HOOK void* minires_memmove(void* to, const void* from, size_t n) {
    ANNOUNCED(from, n, false) ANNOUNCED(to, n, true)
    return memmove(to, from, n);
}
HOOK void* minires_memset(void* to, int value, size_t n) {
    ANNOUNCED(to, n, true)
    return memset(to, value, n);
}
static void* known(void* block, size_t size, void* where) {
    if (emulator::watch::state && emulator::watch::state->is_program && block)
        program->host_blocks[uintptr_t(block)] = {size, where};
    return block;
}
static void forgotten(void* block) {
    if (emulator::watch::state && emulator::watch::state->is_program) program->host_blocks.erase(uintptr_t(block));
}
HOOK void* minires_malloc(size_t n) { return known(malloc(n), n, HERE); }
HOOK void* minires_calloc(size_t n, size_t size) { return known(calloc(n, size), n * size, HERE); }
HOOK void* minires__Znwm(size_t n) { return known(operator new(n), n, HERE); }
HOOK void* minires__Znam(size_t n) { return known(operator new[](n), n, HERE); }
HOOK void minires_free(void* p) { forgotten(p), free(p); }
HOOK void minires__ZdlPv(void* p) { forgotten(p), operator delete(p); }
HOOK void minires__ZdlPvm(void* p, size_t) { forgotten(p), operator delete(p); }
HOOK void minires__ZdaPv(void* p) { forgotten(p), operator delete[](p); }
HOOK void minires__ZdaPvm(void* p, size_t) { forgotten(p), operator delete[](p); }
