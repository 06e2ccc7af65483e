// Requests of warps, counted: what the lanes of a warp ask for together at one place of the code.
//
// The i-th access there of one lane goes with the i-th of the others, as in counting.h. Global memory
// moves sectors of 32 bytes; shared memory has 32 banks of 4 bytes, and a request takes as many turns
// as its busiest bank has different words.
#pragma once
#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "watch.h"

namespace emulator::watch {

struct Row {  // one place of the code and one array
    uint64_t where;
    uint32_t region, store, shared, size;
    uint64_t requests, lanes, moved, least;  // moved: sectors or turns; least: what would do
};

class Tally {
  public:
    static constexpr size_t MOST = 6'000'000;  // accesses; what comes after is not counted
    bool is_full() const { return total >= MOST; }
    uint64_t blocks = 0;

    void access(unsigned thread, uint32_t where, uint32_t region, uint64_t offset, uint32_t size,
                bool store, bool shared) {
        auto [found, is_new] = places.try_emplace(where, uint32_t(places.size()));
        uint32_t place = found->second;
        if (is_new) wheres.push_back(where);
        if (times.size() < (place + 1) * 1024) times.resize((place + 1) * 1024);
        lines.push_back({place, thread / 32, times[place * 1024 + thread]++, region, offset, size, store, shared});
        total++;
    }
    void end_block() {
        auto key = [](const Access& a) { return std::tie(a.place, a.warp, a.time, a.region); };
        std::sort(lines.begin(), lines.end(), [&](auto& a, auto& b) { return key(a) < key(b); });
        for (size_t i = 0, j; i < lines.size(); i = j) {
            for (j = i; j < lines.size() && key(lines[j]) == key(lines[i]);) j++;
            request(&lines[i], j - i);
        }
        lines.clear();
        std::fill(times.begin(), times.end(), 0);
        blocks++;
    }
    std::vector<Row> rows;
    void clear() { *this = Tally(); }

  private:
    struct Access { uint32_t place, warp, time, region; uint64_t offset; uint32_t size; bool store, shared; };
    void request(const Access* a, size_t count) {
        Row& row = row_of(a[0]);
        row.requests++, row.lanes += count;
        uint64_t unit = a[0].shared ? 4 : 32;
        touched.clear();
        for (size_t i = 0; i < count; i++)
            for (uint64_t u = a[i].offset / unit; u <= (a[i].offset + a[i].size - 1) / unit; u++)
                touched.push_back(u);
        std::sort(touched.begin(), touched.end());
        touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
        if (a[0].shared) {
            unsigned words[32] = {}, most = 0;
            for (uint64_t word : touched) most = std::max(most, ++words[word % 32]);
            row.moved += most, row.least += (touched.size() + 31) / 32;
        } else {
            offsets.clear();
            for (size_t i = 0; i < count; i++) offsets.push_back(a[i].offset);
            std::sort(offsets.begin(), offsets.end());
            size_t distinct = std::unique(offsets.begin(), offsets.end()) - offsets.begin();
            row.moved += touched.size(), row.least += (distinct * a[0].size + 31) / 32;
        }
    }
    Row& row_of(const Access& a) {
        for (Row& row : rows)
            if (row.where == wheres[a.place] && row.region == a.region) return row;
        rows.push_back({wheres[a.place], a.region, a.store, a.shared, a.size, 0, 0, 0, 0});
        return rows.back();
    }
    size_t total = 0;
    std::unordered_map<uint32_t, uint32_t> places;
    std::vector<uint32_t> wheres, times;
    std::vector<Access> lines;
    std::vector<uint64_t> touched, offsets;
};

}  // namespace emulator::watch
