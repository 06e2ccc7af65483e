// The watched emulator: every access of memory is announced and looked at (`minires cuda`).
//
// The kernel is compiled with -fsanitize=thread and -fsanitize=alignment,bounds,..., but the
// functions that these call are ours (watch.cpp). So no sanitizer's runtime is needed, and Python
// runs as it is. Blocks run one after the other, on one core.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulator {

struct Core;

namespace watch {

enum Kind : uint32_t {
    OUT_OF_BOUNDS = 1, UNINITIALISED, RACE, MISALIGNED, OVERFLOWN, INDEX, BARRIER_PLACES, TIME,
    DIVISION, CRASH, FREED, HOST_POINTER
};
enum Space : uint32_t {
    ARRAY, SHARED_ARRAY, DYNAMIC,
    OBJECT,        // __device__, __constant__
    BOTH, PINNED,  // of host and device: cudaMallocManaged, cudaMallocHost
    HOST_OBJECT    // a variable of the program's host part
};

struct Part { uint32_t block, thread; uint64_t where; uint32_t store, atomic; };
struct Event {
    uint32_t kind, region, size, times;
    int64_t offset;          // bytes from the region's first
    int64_t values[2];       // of an overflow; the index of INDEX
    Part one, other;         // `other` of a race and of barriers: whom it collides with
    char text[64];           // a type, an operator
    uint32_t launch;         // its number in a program
};

struct RegionGiven { uint64_t first, size; uint32_t space, is_empty; };
struct Setup {
    const RegionGiven* regions;
    uint64_t count, seed;
    uint32_t preempt;        // others go first after one access in that number; 0: never
    uint32_t shadow, tally;  // look for faults; count requests
    uint32_t patience;       // seconds
};

// What the scheduler tells.
void begin_block(Core*);
void barrier(Core*);                                    // all of the block have arrived
void met(Core*, unsigned first, uint32_t mask);         // a warp operation, complete
void settle();                                          // before another thread goes on
void end_block(Core*);
unsigned warp_at(unsigned turn, unsigned warps);
bool lanes_backward();
uint64_t block_at(uint64_t turn, uint64_t blocks);

}  // namespace watch
}  // namespace emulator
