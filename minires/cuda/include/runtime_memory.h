// A program's memory: what it allocates, copies and frees, and what its host part reaches. Included
// by watch.cpp.
#pragma once
#include <unordered_map>

namespace emulator::runtime {

using namespace emulator::watch;

constexpr uint64_t MEMORY = 16ull << 30;  // bytes of the device that cudaGetDeviceProperties names

struct Note { char kind[24]; uint64_t where, other; char text[360]; };  // a fault of the host part
struct Failure { cudaError_t error; const char* call; void* where; bool asked; };
struct Early { uintptr_t first, end; void* where; };  // host memory that a copy may still write
struct HostBlock { size_t size; void* where; };

struct Program {
    std::vector<Note> notes;
    std::vector<Failure> failures;
    std::vector<Early> early;
    std::unordered_map<uintptr_t, HostBlock> host_blocks;
    std::unordered_map<std::string, int> dynamic_allowed;
    cudaError_t last = cudaSuccess, sticky = cudaSuccess;
    uint64_t next_place = SOMEWHERE, allocated = 0;
    bool is_running = false;  // kernels may be at work, as far as the host knows
    bool busy = false;        // the runtime's own accesses are not looked at
    void* launched = nullptr;
};
static Program* program = new Program;

__attribute__((format(printf, 4, 5)))
static void note(const char* kind, void* where, void* other, const char* format, ...) {
    Note n{};
    snprintf(n.kind, sizeof n.kind, "%s", kind);
    n.where = in_library(where), n.other = in_library(other);
    va_list values;
    va_start(values, format);
    vsnprintf(n.text, sizeof n.text, format, values);
    va_end(values);
    for (Note& known : program->notes)
        if (!strcmp(known.kind, kind) && known.where == n.where) return;
    if (program->notes.size() < 64) program->notes.push_back(n);
}

static Answer fails(cudaError_t error, const char* call, void* where) {
    program->failures.push_back({error, call, where, false});
    program->last = error;
    return {error, int(program->failures.size()) - 1};
}
void asked(int failure) { program->failures[failure].asked = true; }
static Answer fine() { return {cudaSuccess, -1}; }
static Answer stuck() { return {program->sticky, -1}; }  // after a kernel's fault nothing works

// `(void**)&d_x, n * 4` -> `d_x`.
static std::string name_in(const char* text) {
    std::string first;
    int depth = 0;
    for (const char* c = text; *c && !(*c == ',' && !depth); c++) {
        depth += *c == '(' || *c == '[' || *c == '<', depth -= *c == ')' || *c == ']' || *c == '>';
        first += *c;
    }
    size_t from = first.rfind('&');
    if (from == std::string::npos) from = first.find_last_of(")* ");
    if (from != std::string::npos && from + 1 < first.size()) first = first.substr(from + 1);
    while (!first.empty() && (first.front() == ' ' || first.front() == '(')) first.erase(0, 1);
    while (!first.empty() && (first.back() == ' ' || first.back() == ')')) first.pop_back();
    return first;
}

static bool is_of_device(uintptr_t a) {
    return a - SOMEWHERE < DEVICE_END - SOMEWHERE || a - state->data < state->data_end - state->data;
}

// Write stamps of the host, which come before all launches that follow.
static void mark(Region& r, uintptr_t first, size_t size) {
    if (!r.is_empty || !size) return;
    if (first == r.first && size == r.size) {
        r.is_empty = false;
        return;
    }
    uint32_t unit = (first - r.first) % 4 || size % 4 ? 1 : 4;
    Cell* cell = cells_of(&r, first, unit);
    for (size_t i = 0; i < size >> r.shift; i++) cell[i].write = {0, 0, 0, 2};
}
// The first byte of a range that nobody has written, and how many; or size.
static size_t first_unwritten(Region& r, uintptr_t first, size_t size, size_t* count) {
    size_t found = size;
    *count = 0;
    for (size_t i = 0; r.is_empty && i < size; i++) {
        size_t at = (first - r.first + i) >> r.shift;
        if (r.cells && r.cells[at].write.is_there()) continue;
        if (found == size) found = i;
        ++*count;
    }
    return found;
}

Answer allocate(const char* text, void** place, size_t bytes, size_t item, Where kind, void* where) {
    static const char* calls[] = {"cudaMalloc", "cudaMallocManaged", "cudaMallocHost"};
    if (program->sticky) return stuck();
    std::string name = name_in(text);
    if (program->allocated + bytes > MEMORY) {
        note("memory", where, nullptr,
             "%s: %zu bytes are asked for %s, but the device has %llu left", calls[kind], bytes, name.c_str(),
             (unsigned long long)(MEMORY - program->allocated));
        return fails(cudaErrorMemoryAllocation, calls[kind], where);
    }
    size_t room = (bytes / FAR_APART + 2) * FAR_APART;
    void* memory = mmap((void*)program->next_place, std::max<size_t>(bytes, 1), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return fails(cudaErrorMemoryAllocation, calls[kind], where);
    program->next_place += room, program->allocated += bytes;
    Space space = kind == DEVICE ? ARRAY : kind == MANAGED ? BOTH : watch::PINNED;
    Region& r = add_region(uintptr_t(memory), bytes, space, kind == DEVICE);
    r.name = name, r.item = item, r.made = where;
    if (kind == DEVICE) memset(memory, 0xff, bytes < (64 << 20) ? bytes : 0);  // NaN
    *place = memory;
    return fine();
}

Answer release(const char* call, void* place, Where kind, void* where) {
    if (program->sticky) return stuck();
    if (!place) return fine();
    Region* r = find(uintptr_t(place));
    bool pinned = kind == runtime::PINNED;
    if (!r || !is_of_device(uintptr_t(place))) {
        note("double free", where, nullptr, "%s is given a pointer that no allocation of CUDA made", call);
        return fails(cudaErrorInvalidValue, call, where);
    }
    const char* name = r->name.c_str();
    if (r->freed)
        note("double free", where, r->freed, "%s frees %s, which is already freed", call, name);
    else if (r->first != uintptr_t(place))
        note("double free", where, r->made, "%s is given a pointer %zu bytes behind the beginning of %s", call,
             size_t(uintptr_t(place) - r->first), name);
    else if (pinned != (r->space == watch::PINNED))
        note("double free", where, r->made, "%s frees %s, which is %s", call, name,
             pinned ? "no memory of cudaMallocHost" : "memory of the host: cudaFreeHost does that");
    else {
        r->freed = where, program->allocated -= r->size;
        madvise((void*)r->first, std::max<size_t>(r->size, 1), MADV_DONTNEED);
        return fine();
    }
    return fails(cudaErrorInvalidValue, call, where);
}

// One side of a copy: is it what the direction says, and long enough? A note if not.
static bool fits(const char* call, const char* side, uintptr_t place, size_t bytes, bool device, void* where) {
    Region* r = is_of_device(place) ? find(place) : nullptr;
    if (r && r->freed) {
        note("use after free", where, r->freed, "the %s of %s is %s, which is freed", side, call, r->name.c_str());
        return false;
    }
    bool either = r && (r->space == BOTH || r->space == watch::PINNED);
    if (!device && r && !either) {
        note("copy", where, r->made, "the %s of %s is to be memory of the host, but %s is memory of the device",
             side, call, r->name.c_str());
        return false;
    }
    if (device && !r) {
        const char* what = !place ? "a null pointer"
                           : is_of_device(place) ? "outside of every allocation" : "a pointer of the host";
        note("copy", where, nullptr, "the %s of %s is to be memory of the device, but is %s", side, call, what);
        return false;
    }
    if (r && place + bytes > r->first + r->size) {
        note("copy", where, r->made, "%s moves %zu bytes, but %s has only %zu%s", call, bytes, r->name.c_str(),
             size_t(r->first + r->size - place), place == r->first ? "" : " from there on");
        return false;
    }
    auto block = r ? program->host_blocks.end() : program->host_blocks.find(place);
    if (block != program->host_blocks.end() && bytes > block->second.size) {
        note("copy", where, block->second.where, "%s moves %zu bytes, but the %s on the host has only %zu",
             call, bytes, side, block->second.size);
        return false;
    }
    if (!r && !place && bytes) {
        note("copy", where, nullptr, "the %s of %s is a null pointer", side, call);
        return false;
    }
    return true;
}

static void move(void* to, const void* from, size_t bytes) {
    uintptr_t a = uintptr_t(to), b = uintptr_t(from);
    Region* source = is_of_device(b) ? find(b) : nullptr;
    Region* target = is_of_device(a) ? find(a) : nullptr;
    memmove(to, from, bytes);
    if (!target || !bytes) return;
    if (!source || !source->is_empty) return mark(*target, a, bytes);
    for (size_t i = 0, count; i < bytes; i++)  // what is unwritten stays so
        if (first_unwritten(*source, b + i, 1, &count)) mark(*target, a + i, 1);
}

// A result that nobody has calculated is copied to the host.
static void look_for_unwritten(const char* call, uintptr_t from, size_t bytes, void* where) {
    Region* r = is_of_device(from) ? find(from) : nullptr;
    size_t count, size = r && r->item ? r->item : 4, first = r ? first_unwritten(*r, from, bytes, &count) : bytes;
    if (!r || first == bytes) return;
    note("never written", where, r->made, "%s copies %s, but %zu of its %zu elements are never written, the first "
         "is %s[%zu]", call, r->name.c_str(), std::max<size_t>(count / size, 1), bytes / size, r->name.c_str(),
         (from - r->first + first) / size);
}

static Answer copied(const char* call, void* to, size_t to_pitch, const void* from, size_t from_pitch,
                     size_t width, size_t height, cudaMemcpyKind kind, bool later, void* where) {
    if (program->sticky) return stuck();
    uintptr_t a = uintptr_t(to), b = uintptr_t(from);
    size_t to_bytes = height ? to_pitch * (height - 1) + width : 0;
    size_t from_bytes = height ? from_pitch * (height - 1) + width : 0;
    auto on_device = [](uintptr_t p) { return is_of_device(p); };
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice ||
                     kind == cudaMemcpyDefault && on_device(a);
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice ||
                       kind == cudaMemcpyDefault && on_device(b);
    if (!fits(call, "destination", a, to_bytes, to_device, where) ||
        !fits(call, "source", b, from_bytes, from_device, where))
        return fails(cudaErrorInvalidValue, call, where);
    program->busy = true;
    if (!later) program->is_running = false, program->early.clear();
    for (size_t i = 0; i < height; i++) {
        if (from_device && !to_device) look_for_unwritten(call, b + i * from_pitch, width, where);
        move((char*)to + i * to_pitch, (const char*)from + i * from_pitch, width);
    }
    if (later && from_device && !to_device) program->early.push_back({a, a + to_bytes, where});
    program->busy = false;
    return fine();
}

Answer copy(const char* call, void* to, const void* from, size_t bytes, cudaMemcpyKind kind, bool later, void* where) {
    return copied(call, to, bytes, from, bytes, bytes, bytes ? 1 : 0, kind, later, where);
}
Answer copy_rows(const char* call, void* to, size_t to_pitch, const void* from, size_t from_pitch,
                 size_t width, size_t height, cudaMemcpyKind kind, bool later, void* where) {
    if (width <= to_pitch && width <= from_pitch)
        return copied(call, to, to_pitch, from, from_pitch, width, height, kind, later, where);
    note("copy", where, nullptr, "%s: rows have %zu bytes, but the pitches are %zu and %zu", call, width, to_pitch, from_pitch);
    return fails(cudaErrorInvalidPitchValue, call, where);
}
Answer set(const char* call, void* to, int value, size_t bytes, void* where) {
    if (program->sticky) return stuck();
    if (!fits(call, "destination", uintptr_t(to), bytes, true, where))
        return fails(cudaErrorInvalidValue, call, where);
    memset(to, value, bytes);
    mark(*find(uintptr_t(to)), uintptr_t(to), bytes);
    return fine();
}

static void leave(int status);  // in runtime_program.h

}  // namespace emulator::runtime

namespace emulator::watch {

static void host_access(uintptr_t address, size_t size, bool store, void* where) {
    using namespace runtime;
    if (program->busy) return;
    for (Early& e : program->early)
        if (address < e.end && address + size > e.first) {
            note("no synchronisation", where, e.where, "the host %s memory that cudaMemcpyAsync may still write: "
                 "cudaStreamSynchronize() or cudaDeviceSynchronize() waits for it", store ? "writes" : "reads");
            program->early.clear();
            break;
        }
    last_where = where;
    if (!is_of_device(address)) return;
    Region* r = find(address);
    if (!r) {
        if (address - state->data < state->data_end - state->data) return;  // beside a variable
        note("out of bounds", where, nullptr, "the host %s memory outside of every allocation",
             store ? "writes" : "reads");
        leave(139);
    } else if (r->freed) {
        note("use after free", where, r->freed, "the host %s %s, which is freed", store ? "writes" : "reads",
             r->name.c_str());
        leave(139);
    } else if (r->space == ARRAY || r->space == OBJECT) {
        note("device pointer", where, r->made, "the host %s %s, which is memory of the device: cudaMemcpy copies it",
             store ? "writes" : "reads", r->name.c_str());
        if (r->space == ARRAY) leave(139);
    } else if (r->space == BOTH && program->is_running) {
        note("no synchronisation", where, program->launched, "the host %s %s while a kernel may still run: "
             "cudaDeviceSynchronize() waits for it", store ? "writes" : "reads", r->name.c_str());
    }
}

}  // namespace emulator::watch
