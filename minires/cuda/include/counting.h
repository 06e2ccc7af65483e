// What a kernel asks of global memory, counted: loads and stores as a GPU issues them, a warp at a
// time, and the sectors of 32 bytes that they touch.
//
// The compiler is told to look for data races (-fsanitize=thread): it then announces every access of
// memory to a function __tsan_read4, __tsan_write8 ... Here these functions are not
// ThreadSanitizer's, but count. Accesses outside of the kernel's arrays (stacks, shared memory) are
// left out. The lanes of a warp issue together what they do at the same place of the code for the
// same time: the i-th access there of one lane goes with the i-th of the others. Where lanes go
// different ways (a padded pixel that only some of them skip), that is not quite what a GPU pairs: a
// few per cent of the sectors.
//
// Also counted, exactly: the distinct sectors of a launch, those that come from memory and go there
// however large the caches are.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace emulator {

constexpr uint64_t SECTOR = 32;

struct Range { uintptr_t first, end; };  // an array that a kernel was given

struct Counts {
    uint64_t loads, stores;                    // requests of warps
    uint64_t bytes_loaded, bytes_stored;       // that threads asked for
    uint64_t sectors_loaded, sectors_stored;   // that had to be moved for it
    uint64_t distinct_loaded, distinct_stored; // the same, each once in a launch
};

class Counter {  // of one core
  public:
    // `offset` bytes from the beginning of an array; on a GPU every array begins with a sector.
    EMULATOR_OWN void access(unsigned thread, uint64_t array, uint64_t offset, size_t size, bool store,
                             void* where) {
        uint64_t key = uint64_t(uintptr_t(where)) << 10 | thread;
        unsigned time = times[key]++;
        for (uint64_t s = offset / SECTOR; s <= (offset + size - 1) / SECTOR; s++)
            accesses.push_back({thread / 32, uintptr_t(where), time, array << 40 | s, store});
        (store ? counts.bytes_stored : counts.bytes_loaded) += size;
    }

    EMULATOR_OWN void end_block() {
        std::sort(accesses.begin(), accesses.end(), before);
        for (size_t i = 0; i < accesses.size(); i++) {
            bool same_request = i && !before_request(accesses[i - 1], accesses[i]);
            bool same_sector = same_request && accesses[i - 1].sector == accesses[i].sector;
            uint64_t& requests = accesses[i].store ? counts.stores : counts.loads;
            uint64_t& sectors = accesses[i].store ? counts.sectors_stored : counts.sectors_loaded;
            requests += !same_request, sectors += !same_sector;
            if (!same_sector) (accesses[i].store ? stored : loaded).insert(accesses[i].sector);
        }
        accesses.clear(), times.clear();
    }

    // What the launch asked for, when all of its blocks have ended.
    EMULATOR_OWN Counts end_launch() {
        counts.distinct_loaded = loaded.size(), counts.distinct_stored = stored.size();
        Counts result = counts;
        counts = {}, loaded.clear(), stored.clear();
        return result;
    }

  private:
    struct Access {
        unsigned warp;
        uintptr_t where;
        unsigned time;
        uint64_t sector;
        bool store;
    };
    static bool before_request(const Access& a, const Access& b) {
        return std::tie(a.warp, a.where, a.time) < std::tie(b.warp, b.where, b.time);
    }
    static bool before(const Access& a, const Access& b) {
        return std::tie(a.warp, a.where, a.time, a.sector) <
               std::tie(b.warp, b.where, b.time, b.sector);
    }
    Counts counts{};
    std::unordered_set<uint64_t> loaded, stored;  // sectors
    std::vector<Access> accesses;
    std::unordered_map<uint64_t, unsigned> times;  // how often a thread was at a place of the code
};

}  // namespace emulator
