// The functions that a watched kernel's accesses call, and what they find. See watch.h.
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

#include <algorithm>
#include <deque>
#include <string>

#include "emulator.h"
#include "knowledge.h"
#include "tally.h"

namespace emulator::watch {

struct Cell { Stamp write, reads[2]; };  // of four bytes, or of one where smaller ones are accessed

struct Region {
    uintptr_t first;
    size_t size;
    Space space;
    bool is_empty;     // nobody has written it yet, as cudaMalloc leaves memory
    unsigned number;
    unsigned shift = 2;
    Cell* cells = nullptr;
    // Of a program's allocations: the pointer's name, the size of an element, where it was made and
    // where freed.
    std::string name;
    size_t item = 0;
    void *made = nullptr, *freed = nullptr;
    bool is_shared() const { return space == SHARED_ARRAY || space == DYNAMIC; }
};

struct State {
    std::deque<Region> regions;
    std::vector<unsigned> by_address;
    Region* last[64] = {};  // the region that each place in the code reached last, by its low bits
    uint32_t launches = 0, blocks_before = 0;  // of a program: launches, and their blocks before this one
    Setup setup{};
    Threads threads;
    Tally tally;
    std::vector<Event> events;
    uint64_t random = 1, barriers = 0, library = 0, tls = 0, tls_size = 0, data = 0, data_end = 0;
    bool backward = false, is_program = false;
    volatile bool expired = false;
    int64_t index_event = -1;
    struct { bool is_there; const void* place; uint32_t size; char old[16]; Event event; } pending{};
};
static State* state = new State;

// A plain read that an atomicCAS, atomicMin or atomicMax of the same thread and place follows is no
// race with other threads' atomics: the atomic operation looks again. `read` keeps each thread's last
// reads, `checked` the places in the code of those that were looked at again.
struct Reads { uintptr_t address[8]; uint32_t where[8]; uint32_t next; };
static std::vector<Reads>* reads = new std::vector<Reads>(MOST_THREADS);
static std::vector<uint32_t>* checked = new std::vector<uint32_t>;
static void forget_checked_reads();
static void* last_where = nullptr;
constexpr uint64_t FAR_APART = 1ull << 32, SOMEWHERE = 0x2000'0000'0000, DEVICE_END = 0x5000'0000'0000;

// What a program's host part does with an address; in runtime_memory.h.
static void host_access(uintptr_t address, size_t size, bool store, void* where);
static void host_ends(int signal, void* context);  // in runtime_program.h

static uint32_t roll(uint32_t sides) {
    uint64_t& x = state->random;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return uint32_t((x >> 32) * sides >> 32);
}

static uint64_t in_library(void* where) { return where ? uintptr_t(where) - state->library : 0; }

static Event* report(const Event& event) {
    for (Event& known : state->events)
        if (known.kind == event.kind && known.one.where == event.one.where &&
            known.other.where == event.other.where && known.region == event.region &&
            (known.one.block == known.other.block) == (event.one.block == event.other.block)) {
            known.times++;
            return nullptr;
        }
    if (state->events.size() >= 64) return nullptr;
    state->events.push_back(event);
    return &state->events.back();
}

static Event here(Kind kind, void* where) {
    Event event{};
    Core* core = this_core();
    event.kind = kind, event.region = ~0u, event.times = 1;
    event.launch = state->launches;
    event.one = {state->threads.block - state->blocks_before, core->current ? core->current->linear : 0, in_library(where), 0, 0};
    return event;
}

[[noreturn]] static void stop(void* where) {
    fail(where, "stopped");  // the launch ends; the event tells why
    __builtin_trap();
}

static void wrap_up() {  // a write that another thread made, too: did both write the same?
    auto& p = state->pending;
    if (!p.is_there) return;
    p.is_there = false;
    if (memcmp(p.old, p.place, p.size)) report(p.event);
}
void settle() { wrap_up(); }

static Region* find(uintptr_t address, void* where = nullptr) {
    Region*& last = state->last[uintptr_t(where) >> 1 & 63];
    if (last && address - last->first < last->size) return last;
    unsigned low = 0, high = unsigned(state->by_address.size());
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (state->regions[state->by_address[middle]].first <= address) low = middle + 1;
        else high = middle;
    }
    if (!low) return nullptr;
    Region* region = &state->regions[state->by_address[low - 1]];
    return address - region->first < region->size ? last = region : nullptr;
}

// Memory that kernels may reach from now on.
static Region& add_region(uintptr_t first, size_t size, Space space, bool is_empty) {
    unsigned number = unsigned(state->regions.size());
    state->regions.push_back({first, size, space, is_empty, number});
    auto before = [](unsigned a, unsigned b) { return state->regions[a].first < state->regions[b].first; };
    auto& order = state->by_address;
    order.insert(std::upper_bound(order.begin(), order.end(), number, before), number);
    return state->regions.back();
}

static void out_of_bounds(uintptr_t address, uint32_t size, bool store, bool atomic, void* where) {
    Event event = here(OUT_OF_BOUNDS, where);
    event.size = size, event.one.store = store, event.one.atomic = atomic;
    event.offset = int64_t(address);
    uint64_t nearest = ~0ull;
    bool thread_local_ = address - state->tls < state->tls_size;
    for (unsigned i = 0; address >= 4096 && i < state->regions.size(); i++) {
        Region& r = state->regions[i];
        if (r.is_shared() != thread_local_ || r.freed || r.space == HOST_OBJECT) continue;
        uint64_t distance = address < r.first ? r.first - address : address - (r.first + r.size) + 1;
        if (distance < nearest) {
            nearest = distance, event.region = i, event.offset = int64_t(address - r.first);
        }
    }
    bool of_device = address - SOMEWHERE < DEVICE_END - SOMEWHERE || address - state->data < state->data_end - state->data;
    if (state->is_program && address >= 4096 && !thread_local_ && !of_device)
        event.kind = HOST_POINTER, event.offset = int64_t(address), event.region = ~0u;
    report(event);
    stop(where);
}

static Cell* cells_of(Region* r, uintptr_t address, uint32_t size) {
    if (!r->cells || (r->shift == 2 && (size % 4 || (address - r->first) % 4))) {
        Cell* before = r->cells;
        if (size % 4 || (address - r->first) % 4) r->shift = 0;
        size_t count = (r->size >> r->shift) + 4;
        void* memory = mmap(nullptr, count * sizeof(Cell), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) abort();
        r->cells = (Cell*)memory;
        for (size_t i = 0; before && i < r->size; i++) r->cells[i] = before[i >> 2];
    }
    return r->cells + ((address - r->first) >> r->shift);
}

static Part part(const Stamp& s, bool store) {
    return {s.block - state->blocks_before, s.thread(), s.where(), store, s.atomic()};
}

static void look(Region* r, uintptr_t address, uint32_t size, bool store, bool atomic, unsigned thread,
                 void* where) {
    Threads& all = state->threads;
    Stamp now{all.block, all.epoch << 10 | thread, all.clock[thread],
              uint32_t(in_library(where)) << 1 | atomic};
    Cell* cell = cells_of(r, address, size);
    unsigned count = (size + (1u << r->shift) - 1) >> r->shift;
    bool raced = false, unread = false;
    for (Cell* c = cell; c < cell + count; c++) {
        auto there = [&](const Stamp& s) { return s.is_there() && (!r->is_shared() || s.block == all.block); };
        auto collides = [&](const Stamp& s) {
            return there(s) && !(atomic && s.atomic()) && !all.after(thread, s);
        };
        if ((!store || atomic) && r->is_empty && !there(c->write)) unread = true;
        const Stamp* with = nullptr;
        bool with_store = true;
        if (store && collides(c->reads[0])) with = &c->reads[0], with_store = false;
        if (store && collides(c->reads[1])) with = &c->reads[1], with_store = false;
        bool both_write = !with && collides(c->write);
        if (both_write) with = &c->write;
        if (with && !raced) {
            raced = true;
            Event event = here(RACE, where);
            event.region = r->number, event.size = size;
            event.offset = int64_t(address - r->first) + ((c - cell) << r->shift);
            event.one.store = store, event.one.atomic = atomic;
            event.other = part(*with, with_store);
            if (store && both_write && !atomic && size <= 16) {
                state->pending.is_there = true, state->pending.place = (const void*)address;
                state->pending.size = size, state->pending.event = event;
                memcpy(state->pending.old, (const void*)address, size);
            } else {
                report(event);
            }
        }
        if (store) c->write = now;
        if (!store) {  // keep two readers, of different threads and better of different warps
            Stamp& first = c->reads[0];
            if (!there(first) || first.thread() == thread && first.block == all.block)
                first = now;
            else
                c->reads[1] = now;
        }
    }
    if (unread) {
        Event event = here(UNINITIALISED, where);
        event.region = r->number, event.size = size;
        event.offset = int64_t(address - r->first);
        report(event);
    }
}

// Whether an address is the emulator's: threadIdx and blockDim lie there.
static bool is_own(Core* core, uintptr_t address) {
    return address == uintptr_t(&this_core()) || address - uintptr_t(core) < sizeof *core || address - uintptr_t(core->launch) < sizeof *core->launch ||
           address - core->launch->arguments_first < core->launch->arguments_end - core->launch->arguments_first ||
           address - uintptr_t(core->threads.data()) < core->threads.size() * sizeof(Thread);
}

static void access(const void* p, uint32_t size, bool store, bool atomic, void* where) {
    Core* core = this_core();
    uintptr_t address = uintptr_t(p);
    if (!core || !core->current) {
        if (state && state->is_program) host_access(address, size, store, where);
        return;
    }
    if (address - uintptr_t(core->current->stack) < STACK || is_own(core, address)) return;
    wrap_up();
    last_where = where;
    if (state->expired) {
        report(here(TIME, where));
        stop(where);
    }
    uint32_t sides = state->setup.preempt;
    if (sides && !roll(atomic ? 4 : sides)) to_scheduler();  // READY: it goes on when it is its turn
    Region* region = find(address, where);
    if (!region || address + size > region->first + region->size) {
        bool own = address - state->tls < state->tls_size || address - state->data < state->data_end - state->data;
        if (!region && !own && address - state->library < (64 << 20) && address >= state->library)
            return;  // a constant of the code
        out_of_bounds(address, size, store, atomic, where);
    }
    if (region->freed || region->space == HOST_OBJECT) {
        Event event = here(region->freed ? FREED : HOST_POINTER, where);
        event.region = region->number, event.size = size, event.one.store = store;
        event.offset = int64_t(address - region->first);
        report(event);
        stop(where);
    }
    unsigned thread = core->current->linear, index = region->number;
    if (state->index_event >= 0) {  // -fsanitize=bounds knows no name; the access does
        state->events[state->index_event].region = index;
        state->index_event = -1;
    }
    if (atomic) state->threads.atomic(thread, address);
    else if (!store) {
        Reads& r = (*reads)[thread];
        r.address[r.next & 7] = address, r.where[r.next++ & 7] = uint32_t(in_library(where));
    }
    if (state->setup.shadow) look(region, address, size, store, atomic, thread, where);
    if (state->setup.tally && !state->tally.is_full() && !atomic)
        state->tally.access(thread, uint32_t(in_library(where)), index, address - region->first, size, store,
                            region->is_shared());
}

void begin_block(Core* core) {
    uint3 b = core->block;
    dim3 grid = core->launch->grid;
    state->threads.begin(state->blocks_before + b.x + grid.x * (b.y + grid.y * b.z), core->count);
    if (state->setup.seed) state->backward = roll(2);
}

void barrier(Core* core) {
    state->barriers++;
    Thread* first = &core->threads[0];
    for (unsigned i = 1; i < core->count; i++) {
        Thread* other = &core->threads[i];
        if (other->where == first->where) continue;
        Event event = here(BARRIER_PLACES, other->where);
        event.one.thread = i;
        event.other = {event.one.block, 0, in_library(first->where), 0, 0};
        report(event);
        break;
    }
    state->threads.barrier();
}

void met(Core*, unsigned first, uint32_t mask) { state->threads.met(first, mask); }
void end_block(Core*) {
    wrap_up();
    if (state->setup.tally && !state->tally.is_full()) state->tally.end_block();
}

unsigned warp_at(unsigned turn, unsigned warps) {
    if (!state->setup.seed) return turn;
    return (state->backward ? warps - 1 - turn : turn + unsigned(state->setup.seed)) % warps;
}
bool lanes_backward() { return state->backward; }
uint64_t block_at(uint64_t turn, uint64_t blocks) {
    switch (state->setup.seed) {
        case 0: return turn;
        case 1: return blocks - 1 - turn;
        default: return (turn + blocks * state->setup.seed / 7) % blocks;
    }
}

static void finish(int number, siginfo_t*, void* context) {
    Core* core = this_core();
    if (number == SIGALRM && !state->expired) {  // the next access will notice
        state->expired = true;
        itimerval soon{{0, 0}, {0, 500000}};
        setitimer(ITIMER_REAL, &soon, nullptr);
        return;
    }
    if (!core || !core->current) {
        if (number == SIGALRM) return;
        if (state->is_program) host_ends(number, context);
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
#if defined(__x86_64__)
    void* where = (void*)((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP];
#else
    void* where = (void*)((ucontext_t*)context)->uc_mcontext.pc;
#endif
    if (uintptr_t(where) - state->library > (64 << 20)) where = last_where;
    report(here(number == SIGALRM ? TIME : CRASH, (char*)where + 1));
    stop((char*)where + 1);
}

}  // namespace emulator::watch

namespace emulator {
EMULATOR_OWN void announce_atomic(const void* place, size_t size, bool store, void* where) {
    if (uintptr_t(place) % size) {
        watch::Event event = watch::here(watch::MISALIGNED, where);
        event.size = uint32_t(size), event.offset = int64_t(uintptr_t(place));
        watch::report(event);
        watch::stop(where);
    }
    watch::access(place, uint32_t(size), store, true, where);
}
EMULATOR_OWN void announce_access(const void* place, size_t size, bool store, void* where) {
    watch::access(place, uint32_t(size), store, false, where);
}
EMULATOR_OWN void announce_check(const void* place, void*) {
    Core* core = this_core();
    if (!core || !core->current) return;
    watch::Reads& r = (*watch::reads)[core->current->linear];
    for (int i = 0; i < 8; i++) {
        auto& all = *watch::checked;
        bool known = std::find(all.begin(), all.end(), r.where[i]) != all.end();
        if (r.address[i] == uintptr_t(place) && !known) all.push_back(r.where[i]);
    }
}
}  // namespace emulator

namespace emulator::watch {
static void forget_checked_reads() {
    auto harmless = [](const Part& read, const Part& other) {
        bool is_checked = std::find(checked->begin(), checked->end(), read.where) != checked->end();
        return is_checked && !read.store && other.atomic;
    };
    auto& events = state->events;
    events.erase(std::remove_if(events.begin(), events.end(), [&](const Event& e) {
        return e.kind == RACE && (harmless(e.one, e.other) || harmless(e.other, e.one));
    }), events.end());
}
}  // namespace emulator::watch

void __threadfence() {
    emulator::Core* core = emulator::this_core();
    emulator::watch::state->threads.fence(core->current->linear);
}

#include "watch_hooks.h"
#include "runtime_memory.h"
#include "runtime_launch.h"
#include "runtime_program.h"
