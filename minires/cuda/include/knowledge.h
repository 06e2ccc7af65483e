// Who has seen what: the order that barriers, warp operations, fences and atomics make.
//
// A block's barriers divide its time into epochs. A thread knows all of its block's earlier epochs;
// of the current one it knows its own accesses and, after warp operations, those of its warp. Of
// other blocks it knows nothing, unless they passed a fence and then an atomic operation on a place
// on which it did an atomic operation later: the pattern of locks and of the last block.
#pragma once
#include <unordered_map>
#include <vector>

#include "watch.h"

namespace emulator::watch {

struct Stamp {  // an access
    uint32_t block, thread_epoch, clock, where_atomic;
    bool is_there() const { return where_atomic != 0; }
    uint32_t thread() const { return thread_epoch & 1023; }
    uint32_t epoch() const { return thread_epoch >> 10; }
    bool atomic() const { return where_atomic & 1; }
    uint32_t where() const { return where_atomic >> 1; }
};

// Key block << 11: what is known of a block, the epochs below a number. Key block << 11 | thread + 1:
// what is known of a thread, its accesses up to a time, epoch << 32 | clock.
using Knowledge = std::unordered_map<uint64_t, uint64_t>;

inline void learn(Knowledge& to, uint64_t key, uint64_t value) {
    uint64_t& known = to[key];
    if (value > known) known = value;
}
inline void learn(Knowledge& to, const Knowledge& from) {
    for (auto& [key, value] : from) learn(to, key, value);
}

struct Threads {  // of the block that runs
    uint32_t block = 0, epoch = 0, first_block = 0;  // blocks before: of a program's earlier launches
    std::vector<uint32_t> clock, known;    // known[32 * thread + lane]: of the same warp
    std::vector<uint64_t> fenced;          // when its last fence was, 0 for never
    std::vector<Knowledge> acquired;
    Knowledge of_block;
    std::unordered_map<uintptr_t, Knowledge> places;  // of atomics after fences

    void begin(uint32_t number, unsigned count) {
        block = number, epoch = 0;
        clock.assign(count, 1), known.assign(32 * count, 0), fenced.assign(count, 0);
        acquired.resize(count);
        for (Knowledge& k : acquired) k.clear();
        of_block.clear();
    }
    void barrier() {
        epoch++;
        for (Knowledge& k : acquired)
            if (!k.empty()) learn(of_block, k), k.clear();
    }
    void met(unsigned first, uint32_t mask) {
        uint32_t joint[32] = {};
        Knowledge all;
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned lane = __builtin_ctz(m), t = first + lane;
            for (unsigned i = 0; i < 32; i++)
                if (known[32 * t + i] > joint[i]) joint[i] = known[32 * t + i];
            joint[lane] = clock[t]++;
            if (!acquired[t].empty()) learn(all, acquired[t]);
        }
        for (uint32_t m = mask; m; m &= m - 1) {
            unsigned t = first + __builtin_ctz(m);
            for (unsigned i = 0; i < 32; i++) known[32 * t + i] = joint[i];
            if (!all.empty()) acquired[t] = all;
        }
    }
    void fence(unsigned t) { fenced[t] = uint64_t(epoch) << 32 | clock[t]++; }

    void atomic(unsigned t, uintptr_t place) {
        auto found = places.find(place);
        if (found != places.end()) learn(acquired[t], found->second);
        if (!fenced[t]) return;
        Knowledge& there = places[place];
        learn(there, uint64_t(block) << 11, fenced[t] >> 32);
        learn(there, uint64_t(block) << 11 | (t + 1), fenced[t]);
        learn(there, of_block), learn(there, acquired[t]);
    }

    // Whether thread t of the running block comes after an access for certain.
    bool after(unsigned t, const Stamp& s) const {
        if (s.block < first_block) return true;
        if (s.block == block) {
            if (s.thread() == t || s.epoch() < epoch) return true;
            if (s.thread() / 32 == t / 32 && known[32 * t + s.thread() % 32] >= s.clock) return true;
        }
        return !of_block.empty() && in(of_block, s) || !acquired[t].empty() && in(acquired[t], s);
    }

  private:
    static bool in(const Knowledge& k, const Stamp& s) {
        auto whole = k.find(uint64_t(s.block) << 11);
        if (whole != k.end() && s.epoch() < whole->second) return true;
        auto one = k.find(uint64_t(s.block) << 11 | (s.thread() + 1));
        return one != k.end() && (uint64_t(s.epoch()) << 32 | s.clock) <= one->second;
    }
};

}  // namespace emulator::watch
