// CUDA C++ executed on a CPU: every thread of a block is a fibre, a stack of its own on which the
// kernel's code runs until it has to wait for other threads.
//
//     g++ -std=c++17 -O2 -fPIC -shared -x c++ -include emulator.h kernel.cu
//
// Blocks run one after the other (shared among the processor's cores), the threads of a block by
// turns: each runs until a barrier or a warp operation, then the next one. When all whom it concerns
// have arrived, they go on. So a kernel is executed faithfully but for time: registers, shared
// memory, barriers, shuffles, votes and the tensor cores' mma.sync mean what they mean on a GPU.
//
// What a GPU would answer with a hang or with garbage ends here with a message: a barrier that some
// threads never reach, lanes that meet in different warp operations, a shuffle from a lane that
// takes no part. Compiled with -DEMULATOR_CHECKED, so do reads of shared memory that nobody has
// written and indices beyond its end. Out-of-bounds accesses of arrays are AddressSanitizer's part
// (-fsanitize=address), missing barriers ThreadSanitizer's (-fsanitize=thread).
//
// Not emulated: time, races between blocks, weak memory ordering, cp.async, wgmma, grid barriers.
#pragma once
#include <dlfcn.h>
#include <sys/mman.h>

#include <atomic>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define CUDA_EMULATOR 1
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) alignas(n)
#define __shared__ static_assert(false, "declare shared memory with SHARED(type, name, count)");

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define EMULATOR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ASAN 1
#elif __has_feature(thread_sanitizer)
#define EMULATOR_TSAN 1
#endif
#endif

// The emulator's own functions synchronise fibres by switching stacks, which ThreadSanitizer would
// take for races.
#if defined(EMULATOR_TSAN)
#define EMULATOR_OWN __attribute__((no_sanitize("thread"), noinline))
#else
#define EMULATOR_OWN __attribute__((noinline))
#endif

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct uint3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
inline float2 make_float2(float a, float b) { return {a, b}; }
inline float4 make_float4(float a, float b, float c, float d) { return {a, b, c, d}; }

extern "C" {
void minires_switch(void** save, void* load);  // keep this stack's state, go on with another's
#if defined(EMULATOR_ASAN)
void __sanitizer_start_switch_fiber(void**, const void*, size_t);
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*);
#elif defined(EMULATOR_TSAN)
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_destroy_fiber(void*);
void __tsan_acquire(void*);
void __tsan_release(void*);
#endif
}

#if defined(__x86_64__)
constexpr int SAVED_REGISTERS = 6, ENTRY_REGISTER = 6;  // as minires_switch pushes them
__asm__(
    ".text\n.weak minires_switch\n.type minires_switch,@function\nminires_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
#elif defined(__aarch64__)
constexpr int SAVED_REGISTERS = 20, ENTRY_REGISTER = 11;
__asm__(
    ".text\n.weak minires_switch\n.type minires_switch,%function\nminires_switch:\n"
    "sub sp, sp, #160\n"
    "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\n"
    "stp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
    "stp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\n"
    "stp d14, d15, [sp, #144]\n"
    "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
    "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\n"
    "ldp x25, x26, [sp, #48]\nldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\n"
    "ldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\n"
    "ldp d14, d15, [sp, #144]\n"
    "add sp, sp, #160\nret\n");
#else
#error "the emulator knows how to switch stacks on x86-64 and on aarch64 only"
#endif

namespace emulator {

constexpr size_t STACK = 64 << 10;
constexpr unsigned WARP = 32, MOST_THREADS = 1024;
constexpr size_t MOST_STATIC = 48 << 10;  // bytes of shared memory that a kernel may declare

enum State : uint8_t { READY, AT_BARRIER, IN_WARP_OPERATION, DONE };

enum Operation { SYNCWARP, SHUFFLE, SHUFFLE_XOR, SHUFFLE_DOWN, SHUFFLE_UP, VOTE, MMA };

struct alignas(16) Slot { uint32_t words[8]; };  // what a lane brings to a warp operation

struct Thread {
    void* stack_pointer;
    uint3 index;
    unsigned linear, lane;
    State state;
    uint32_t mask;         // of the warp operation it waits in
    Operation operation;
    void* where;           // the place in the kernel's code where it waits
    void* stack;
    void* sanitizer;       // ThreadSanitizer's fibre, AddressSanitizer's fake stack
    bool parity, barrier_parity;
};

struct Launch {  // what all cores share
    dim3 grid, block;
    size_t dynamic_bytes;
    void (*body)(void*);
    void* arguments;
    bool reverse;          // threads run in the opposite order: another order a GPU may choose
    std::atomic<uint64_t> next_block{0};
    std::atomic<bool> failed{false};
    char* message;
    size_t message_size;
    void* where = nullptr;
};

struct Core {  // one of the processor's cores, at work on one block
    Launch* launch = nullptr;
    Thread* current = nullptr;
    uint3 block{};
    unsigned count = 0;
    uint64_t turn = 0;     // counts blocks: tells shared memory of an earlier one
    size_t declared = 0;   // bytes of shared memory declared in this block
    bool failed = false;
    std::vector<Thread> threads;
    std::vector<Slot> in, out;
    std::vector<char> dynamic, dynamic_written;
    void* scheduler = nullptr;
    void* sanitizer = nullptr;
    const void* scheduler_stack = nullptr;
    size_t scheduler_size = 0;
    char begin = 0, end = 0, barrier[2] = {};
    std::vector<char> arrived;        // two keys per thread, for ThreadSanitizer
    std::vector<uint8_t> out_parity;

    ~Core() {
        for (Thread& thread : threads) munmap(thread.stack, STACK);
    }
};

inline Core*& this_core() {
    static thread_local Core* core = nullptr;
    return core;
}

// Every message ends the launch: the fibres of the block are left where they stand.
EMULATOR_OWN inline void to_scheduler();

__attribute__((format(printf, 2, 3)))
EMULATOR_OWN inline void fail(void* where, const char* format, ...) {
    Core* core = this_core();
    Launch* launch = core->launch;
    if (!launch->failed.exchange(true)) {
        char* to = launch->message;
        size_t left = launch->message_size, used = 0;
        if (core->current) {
            uint3 t = core->current->index;
            used += snprintf(to + used, left - used, "thread (%u,%u,%u) of ", t.x, t.y, t.z);
        }
        uint3 b = core->block;
        used += snprintf(to + used, left - used, "block (%u,%u,%u): ", b.x, b.y, b.z);
        va_list values;
        va_start(values, format);
        vsnprintf(to + used, left - used, format, values);
        va_end(values);
        launch->where = where;
    }
    core->failed = true;
    if (core->current) to_scheduler();
}

EMULATOR_OWN inline void to_scheduler() {
    Core* core = this_core();
    Thread* me = core->current;
#if defined(EMULATOR_TSAN)
    __tsan_switch_to_fiber(core->sanitizer, 1);
#elif defined(EMULATOR_ASAN)
    __sanitizer_start_switch_fiber(
        me->state == DONE ? nullptr : &me->sanitizer, core->scheduler_stack, core->scheduler_size);
#else
    if (!core->failed && !core->launch->reverse) {  // straight to the next lane that can run
        unsigned last = (me->linear | (WARP - 1)) + 1;
        last = last < core->count ? last : core->count;
        for (Thread *next = me + 1, *stop = &core->threads[0] + last; next < stop; next++)
            if (next->state == READY) {
                core->current = next;
                minires_switch(&me->stack_pointer, next->stack_pointer);
                return;
            }
    }
#endif
    minires_switch(&me->stack_pointer, core->scheduler);
#if defined(EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(
        me->sanitizer, &core->scheduler_stack, &core->scheduler_size);
#endif
}

EMULATOR_OWN inline void run_thread() {
    Core* core = this_core();
#if defined(EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &core->scheduler_stack, &core->scheduler_size);
#elif defined(EMULATOR_TSAN)
    __tsan_acquire(&core->begin);
#endif
    core->launch->body(core->launch->arguments);
    core->current->state = DONE;
#if defined(EMULATOR_TSAN)
    __tsan_release(&core->end);
#endif
    to_scheduler();
    __builtin_trap();
}

EMULATOR_OWN inline void resume(Core* core, Thread* thread) {
    core->current = thread;
#if defined(EMULATOR_TSAN)
    __tsan_switch_to_fiber(thread->sanitizer, 1);
#elif defined(EMULATOR_ASAN)
    void* fake;
    __sanitizer_start_switch_fiber(&fake, thread->stack, STACK);
#endif
    minires_switch(&core->scheduler, thread->stack_pointer);
#if defined(EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    core->current = nullptr;
}

// Wait at a barrier or in a warp operation, until the scheduler has seen everybody arrive.
EMULATOR_OWN inline void wait(State state, uint32_t mask, Operation operation, void* where) {
    Core* core = this_core();
    Thread* me = core->current;
    me->state = state, me->mask = mask, me->operation = operation, me->where = where;
#if defined(EMULATOR_TSAN)
    if (state == AT_BARRIER) {
        void* key = &core->barrier[me->barrier_parity = !me->barrier_parity];
        __tsan_release(key);
        to_scheduler();
        __tsan_acquire(key);
    } else {
        me->parity = !me->parity;
        __tsan_release(&core->arrived[2 * me->linear + me->parity]);
        to_scheduler();
        unsigned base = me->linear - me->lane;
        for (unsigned lane = 0; lane < WARP && base + lane < core->count; lane++)
            if (me->mask >> lane & 1)
                __tsan_acquire(&core->arrived[2 * (base + lane) + core->out_parity[base + lane]]);
    }
#else
    to_scheduler();
#endif
}

EMULATOR_OWN inline void prepare(Core* core) {
    for (unsigned i = 0; i < core->count; i++) {
        Thread& thread = core->threads[i];
        thread.state = READY;
        thread.parity = thread.barrier_parity = false;
        // Stacks begin at different places: else they would meet in the same sets of the cache.
        char* top = (char*)thread.stack + STACK - 64 - (i & 63) * 192;
        void** pointer = (void**)top - SAVED_REGISTERS - 2;
#if defined(__aarch64__)
        pointer = (void**)top - SAVED_REGISTERS;
#endif
        memset((void*)pointer, 0, top - (char*)pointer);
        pointer[ENTRY_REGISTER] = (void*)run_thread;
        thread.stack_pointer = pointer;
    }
    core->turn++;
    core->declared = 0;
    if (!core->dynamic.empty()) {
        memset(core->dynamic.data(), 0xff, core->dynamic.size());  // NaN
        memset(core->dynamic_written.data(), 0, core->dynamic_written.size());
    }
}

// Release the lanes first ... last - 1 whose warp operation everybody in its mask has reached.
EMULATOR_OWN inline bool meet(Core* core, unsigned first, unsigned last) {
    uint32_t waiting = 0;
    bool released = false;
    for (unsigned i = first; i < last; i++)
        if (core->threads[i].state == IN_WARP_OPERATION) waiting |= 1u << (i - first);
    for (uint32_t left = waiting; left;) {
        unsigned lane = __builtin_ctz(left);
        Thread& leader = core->threads[first + lane];
        uint32_t mask = leader.mask;
        if (last - first < WARP) mask &= (1u << (last - first)) - 1;
        if (!(mask >> lane & 1)) {
            fail(leader.where, "a warp operation with mask 0x%08x is called by thread (%u,%u,%u), "
                 "lane %u, which is not in the mask", leader.mask, leader.index.x, leader.index.y,
                 leader.index.z, lane);
            return false;
        }
        bool complete = (mask & waiting) == mask;
        for (uint32_t m = mask; complete && m; m &= m - 1) {
            Thread& other = core->threads[first + __builtin_ctz(m)];
            if (other.operation != leader.operation || other.mask != leader.mask) {
                fail(other.where, "lanes %u and %u of a warp meet in different warp operations or "
                     "with different masks", lane, other.lane);
                return false;
            }
        }
        for (uint32_t m = mask; complete && m; m &= m - 1) {
            unsigned i = first + __builtin_ctz(m);
            core->threads[i].state = READY;
            core->out[i] = core->in[i];
            core->out_parity[i] = core->threads[i].parity;
            released = true;
        }
        left &= complete ? ~mask : left - 1;
    }
    return released;
}

EMULATOR_OWN inline void run_block(Core* core) {
    Launch* launch = core->launch;
    prepare(core);
#if defined(EMULATOR_TSAN)
    __tsan_release(&core->begin);
#endif
    unsigned warps = (core->count + WARP - 1) / WARP;
    while (true) {
        bool progress = false;
        unsigned at_barrier = 0, done = 0;
        Thread *waiting = nullptr, *stuck = nullptr;
        for (unsigned turn = 0; turn < warps; turn++) {
            unsigned first = (launch->reverse ? warps - 1 - turn : turn) * WARP;
            unsigned last = first + WARP < core->count ? first + WARP : core->count;
            for (bool ran = true; ran;) {
                ran = false;
                for (unsigned k = first; k < last; k++) {
                    Thread* thread =
                        &core->threads[launch->reverse ? last - 1 - (k - first) : k];
                    if (thread->state != READY) continue;
                    resume(core, thread);
                    if (core->failed) return;
                    ran = true;
                }
                if (meet(core, first, last)) ran = true;
                if (core->failed) return;
                progress |= ran;
            }
            for (unsigned i = first; i < last; i++) {
                Thread* thread = &core->threads[i];
                if (thread->state == DONE) done++;
                if (thread->state == AT_BARRIER) at_barrier++, waiting = thread;
                if (thread->state == IN_WARP_OPERATION) stuck = thread;
            }
        }
        if (done == core->count) break;
        if (at_barrier == core->count) {
            for (unsigned i = 0; i < core->count; i++) core->threads[i].state = READY;
            continue;
        }
        if (progress) continue;
        if (stuck)
            return fail(stuck->where, "deadlock: a warp operation with mask 0x%08x waits for lanes "
                        "that never reach it (thread (%u,%u,%u) waits)", stuck->mask,
                        stuck->index.x, stuck->index.y, stuck->index.z);
        return fail(waiting->where, "__syncthreads() is reached by %u of the block's %u threads "
                    "only; thread (%u,%u,%u) waits there", at_barrier, core->count,
                    waiting->index.x, waiting->index.y, waiting->index.z);
    }
#if defined(EMULATOR_TSAN)
    __tsan_acquire(&core->end);
#endif
}

EMULATOR_OWN inline void work(Launch* launch) {
    static thread_local std::unique_ptr<Core> own;
    if (!own) own = std::make_unique<Core>();
    Core* core = this_core() = own.get();
    dim3 grid = launch->grid, size = launch->block;
    core->launch = launch;
    core->failed = false;
    core->current = nullptr;
    core->count = size.x * size.y * size.z;
    while (core->threads.size() < core->count) {
        Thread thread{};
        thread.stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (thread.stack == MAP_FAILED) return fail(nullptr, "no memory for the threads' stacks");
#if defined(EMULATOR_TSAN)
        thread.sanitizer = __tsan_create_fiber(0);
#endif
        core->threads.push_back(thread);
    }
    size_t rounded = (core->threads.size() + WARP - 1) / WARP * WARP;
    core->in.resize(rounded), core->out.resize(rounded);
    core->out_parity.resize(rounded), core->arrived.resize(2 * rounded);
    core->dynamic.resize(launch->dynamic_bytes), core->dynamic_written.resize(launch->dynamic_bytes);
#if defined(EMULATOR_TSAN)
    core->sanitizer = __tsan_get_current_fiber();
#endif
    for (unsigned i = 0; i < core->count; i++) {
        Thread& thread = core->threads[i];
        thread.linear = i, thread.lane = i % WARP;
        thread.index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    }
    uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
    for (uint64_t b; !launch->failed && (b = launch->next_block++) < blocks;) {
        core->block = {unsigned(b % grid.x), unsigned(b / grid.x % grid.y),
                       unsigned(b / (uint64_t(grid.x) * grid.y))};
        run_block(core);
    }
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*(std::decay_t<A>*)arguments[I]...);
}

template <class... A>
void* launch(void (*kernel)(A...), const unsigned* grid, const unsigned* block, size_t dynamic_bytes,
             void** arguments, unsigned cores, bool reverse, char* message, size_t message_size) {
    struct Call {
        void (*kernel)(A...);
        void** arguments;
    } what{kernel, arguments};
    Launch launch;
    launch.grid = dim3(grid[0], grid[1], grid[2]), launch.block = dim3(block[0], block[1], block[2]);
    launch.dynamic_bytes = dynamic_bytes, launch.reverse = reverse;
    launch.message = message, launch.message_size = message_size;
    launch.arguments = &what;
    launch.body = [](void* pointer) {
        Call* what = (Call*)pointer;
        call(what->kernel, what->arguments, std::index_sequence_for<A...>{});
    };
    uint64_t blocks = uint64_t(grid[0]) * grid[1] * grid[2];
    std::vector<std::thread> helpers;
    for (unsigned i = 1; i < cores && i < blocks; i++) helpers.emplace_back(work, &launch);
    work(&launch);
    for (std::thread& helper : helpers) helper.join();
    if (!launch.failed) return nullptr;
    Dl_info info;
    if (!launch.where || !dladdr(launch.where, &info)) return (void*)1;
    return (void*)((char*)launch.where - (char*)info.dli_fbase);  // where in the library
}

// Shared memory. Each place that declares some has a buffer of its own per core; at the first
// touch in a block it is filled with NaN and counts as not written.

#if defined(EMULATOR_CHECKED)
template <class T>
class Checked {  // a pointer into shared memory that knows what has been written
  public:
    Checked(T* data, char* written, long at, long count, const char* name)
        : data(data), written(written), at(at), count(count), name(name) {}
    struct Element {
        Checked pointer;
        operator T() const { return pointer.read(); }
        T operator=(T value) const { return pointer.write(value); }
        T operator=(const Element& other) const { return pointer.write(T(other)); }
        T operator+=(T value) const { return pointer.write(pointer.read() + value); }
    };
    Element operator[](long i) const { return {*this + i}; }
    Element operator*() const { return {*this}; }
    Checked operator+(long i) const { return {data, written, at + i, count, name}; }
    __attribute__((noinline)) T read() const {
        void* where = __builtin_return_address(0);
        check(where);
        if (!written[at * sizeof(T)])
            fail(where, "%s[%ld] in shared memory is read, but nobody has written it", name, at);
        return data[at];
    }
    __attribute__((noinline)) T write(T value) const {
        check(__builtin_return_address(0));
        memset(written + at * sizeof(T), 1, sizeof(T));
        return data[at] = value;
    }

  private:
    T* data;
    char* written;
    long at, count;
    const char* name;
    void check(void* where) const {
        if (at < 0 || at >= count)
            fail(where, "%s[%ld] is outside of the %ld elements in shared memory", name, at, count);
    }
};
template <class T> using SharedPointer = Checked<T>;
#else
template <class T> using SharedPointer = T*;
#endif

// memset, but unseen by ThreadSanitizer: it is no thread of the kernel that writes here.
EMULATOR_OWN inline void fill(void* start, int byte, size_t size) {
#if defined(EMULATOR_TSAN)
    for (size_t i = 0; i < size; i++) ((volatile char*)start)[i] = char(byte);
#else
    memset(start, byte, size);
#endif
}

template <class T, size_t COUNT>
struct Shared {
    alignas(16) T data[COUNT];
#if defined(EMULATOR_CHECKED)
    char written[COUNT * sizeof(T)];
#endif
    uint64_t turn;
    EMULATOR_OWN void begin() {
        void* where = __builtin_return_address(0);
        Core* core = this_core();
        turn = core->turn;
        core->declared += sizeof data;
        if (core->declared > MOST_STATIC)
            fail(where, "the kernel declares %zu bytes of shared memory, but %zu are the most",
                 core->declared, MOST_STATIC);
        fill(data, 0xff, sizeof data);  // NaN
#if defined(EMULATOR_CHECKED)
        fill(written, 0, sizeof written);
#endif
    }
    __forceinline__ SharedPointer<T> pointer(const char* name) {
        if (turn != this_core()->turn) begin();
#if defined(EMULATOR_CHECKED)
        return {data, written, 0, long(COUNT), name};
#else
        return data;
#endif
    }
};

template <class T>
SharedPointer<T> dynamic_shared(const char* name) {
    Core* core = this_core();
    T* data = (T*)core->dynamic.data();
#if defined(EMULATOR_CHECKED)
    return {data, core->dynamic_written.data(), 0, long(core->dynamic.size() / sizeof(T)), name};
#else
    return data;
#endif
}

// Warp operations: deposit a value, meet, read the others'.

__forceinline__ Thread* me() { return this_core()->current; }

template <class T>
EMULATOR_OWN T shuffle(uint32_t mask, T value, Operation operation, unsigned source, bool inside) {
    static_assert(sizeof(T) <= sizeof(Slot), "");
    void* where = __builtin_return_address(0);
    Core* core = this_core();
    Thread* thread = core->current;
    unsigned base = thread->linear - thread->lane;
    memcpy(core->in[thread->linear].words, &value, sizeof value);
    wait(IN_WARP_OPERATION, mask, operation, where);
    if (!inside) return value;
    if (!(mask >> source & 1) || base + source >= core->count)
        fail(where, "a shuffle reads lane %u, which takes no part in it (mask 0x%08x)", source, mask);
    memcpy(&value, core->out[base + source].words, sizeof value);
    return value;
}

EMULATOR_OWN inline uint32_t vote(uint32_t mask, bool yes) {
    Core* core = this_core();
    Thread* thread = core->current;
    unsigned base = thread->linear - thread->lane;
    core->in[thread->linear].words[0] = yes;
    wait(IN_WARP_OPERATION, mask, VOTE, __builtin_return_address(0));
    uint32_t result = 0;
    for (unsigned lane = 0; lane < WARP && base + lane < core->count; lane++)
        if (mask >> lane & 1) result |= core->out[base + lane].words[0] << lane;
    return result;
}

inline float as_tf32(uint32_t bits) {  // the tensor core ignores the low 13 bits
    bits &= 0xffffe000u;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// d (16x8) = a (16x8) b (8x8) + c, spread over the lanes as the PTX manual draws it.
EMULATOR_OWN inline void mma_m16n8k8_tf32(float* d, const uint32_t* a, const uint32_t* b,
                                          const float* c) {
    Core* core = this_core();
    Thread* thread = core->current;
    unsigned base = thread->linear - thread->lane, group = thread->lane >> 2, place = thread->lane & 3;
    uint32_t brought[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    memcpy(core->in[thread->linear].words, brought, sizeof brought);
    wait(IN_WARP_OPERATION, ~0u, MMA, __builtin_return_address(0));
    float result[4] = {c[0], c[1], c[2], c[3]};
    const Slot* lanes = &core->out[base];
    for (unsigned k = 0; k < 8; k++) {
        const uint32_t* row = lanes[group * 4 + (k & 3)].words;
        float a0 = as_tf32(row[k < 4 ? 0 : 2]), a1 = as_tf32(row[k < 4 ? 1 : 3]);
        float b0 = as_tf32(lanes[2 * place * 4 + (k & 3)].words[4 + (k >> 2)]);
        float b1 = as_tf32(lanes[(2 * place + 1) * 4 + (k & 3)].words[4 + (k >> 2)]);
        result[0] += a0 * b0, result[1] += a0 * b1, result[2] += a1 * b0, result[3] += a1 * b1;
    }
    for (int i = 0; i < 4; i++) d[i] = result[i];
}

}  // namespace emulator

#define threadIdx (emulator::me()->index)
#define blockIdx (emulator::this_core()->block)
#define blockDim (emulator::this_core()->launch->block)
#define gridDim (emulator::this_core()->launch->grid)
#define warpSize 32

#define SHARED(T, name, count)                                              \
    static thread_local emulator::Shared<T, size_t(count)> name##_storage;  \
    const emulator::SharedPointer<T> name = name##_storage.pointer(#name)
#define DYNAMIC_SHARED(T, name) \
    const emulator::SharedPointer<T> name = emulator::dynamic_shared<T>(#name)

EMULATOR_OWN inline void __syncthreads() {
    emulator::wait(emulator::AT_BARRIER, 0, emulator::SYNCWARP, __builtin_return_address(0));
}
EMULATOR_OWN inline void __syncwarp(unsigned mask = ~0u) {
    emulator::wait(
        emulator::IN_WARP_OPERATION, mask, emulator::SYNCWARP, __builtin_return_address(0));
}
template <class T>
__forceinline__ T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    unsigned own = emulator::me()->lane;
    return emulator::shuffle(
        mask, value, emulator::SHUFFLE, (own & ~(width - 1)) | (lane & (width - 1)), true);
}
template <class T>
__forceinline__ T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32) {
    unsigned own = emulator::me()->lane, source = own ^ distance;
    return emulator::shuffle(mask, value, emulator::SHUFFLE_XOR, source,
                             (source & ~(width - 1)) <= (own & ~(width - 1)));
}
template <class T>
__forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    unsigned own = emulator::me()->lane;
    return emulator::shuffle(mask, value, emulator::SHUFFLE_DOWN, own + distance,
                             (own & (width - 1)) + distance < unsigned(width));
}
template <class T>
__forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    unsigned own = emulator::me()->lane;
    return emulator::shuffle(mask, value, emulator::SHUFFLE_UP, own - distance,
                             (own & (width - 1)) >= distance);
}
__forceinline__ unsigned __ballot_sync(unsigned mask, int yes) { return emulator::vote(mask, yes); }
__forceinline__ int __any_sync(unsigned mask, int yes) { return emulator::vote(mask, yes) != 0; }
__forceinline__ int __all_sync(unsigned mask, int yes) { return emulator::vote(mask, yes) == mask; }

inline int atomicAdd(int* place, int value) { return __atomic_fetch_add(place, value, __ATOMIC_RELAXED); }
inline unsigned atomicAdd(unsigned* place, unsigned value) {
    return __atomic_fetch_add(place, value, __ATOMIC_RELAXED);
}
template <class T> T atomicAdd(T* place, T value) {
    T before, after;
    __atomic_load(place, &before, __ATOMIC_RELAXED);
    do after = before + value;
    while (!__atomic_compare_exchange(
        place, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
}

template <class T> __forceinline__ T __ldg(const T* place) { return *place; }
template <class T, class U> constexpr std::common_type_t<T, U> min(T a, U b) { return a < b ? a : b; }
template <class T, class U> constexpr std::common_type_t<T, U> max(T a, U b) { return a > b ? a : b; }
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
using std::exp;
using std::fma;
using std::log;
using std::sqrt;
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

#define EMULATOR_EXPORT(symbol, ...)                                                            \
    extern "C" __attribute__((visibility("default")))                                          \
    void* symbol(const unsigned* grid, const unsigned* block, size_t dynamic_bytes,            \
                            void** arguments, unsigned cores, bool reverse, char* message,     \
                            size_t message_size) {                                             \
        return emulator::launch(&__VA_ARGS__, grid, block, dynamic_bytes, arguments, cores,    \
                                reverse, message, message_size);                               \
    }
