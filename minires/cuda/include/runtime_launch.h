// A program's launches, and the calls that ask about errors, devices, streams and events. Included by
// watch.cpp.
#pragma once
#include <chrono>

namespace emulator::runtime {

struct Launched {  // of a program, as Python reads it
    char name[96], message[256];
    uint64_t where, stopped;
    uint32_t grid[3], block[3];
    uint64_t dynamic;
};
static std::vector<Launched>* launches = new std::vector<Launched>;

// `&scale<float>` -> `scale`: templates' instances count as one.
static std::string plain_name(const char* text) {
    std::string name;
    int depth = 0;
    for (const char* c = text; *c && !(*c == ',' && !depth); c++) {
        if (*c == ')' && !depth) name.clear();
        depth += *c == '<', depth -= *c == '>';
        if (!depth && (isalnum(*c) || *c == '_')) name += *c;
        if (*c == ':' || *c == '(') name.clear();
    }
    return name;
}
Answer set_attribute(const char* text, cudaFuncAttribute what, int value, void* where) {
    if (program->sticky) return stuck();
    if (what != cudaFuncAttributeMaxDynamicSharedMemorySize) return fine();
    if (value < 0 || value > 227 << 10) {
        note("launch", where, nullptr, "%d bytes of dynamic shared memory are asked for, but a block has %d", value,
             227 << 10);
        return fails(cudaErrorInvalidValue, "cudaFuncSetAttribute", where);
    }
    program->dynamic_allowed[plain_name(text)] = value;
    return fine();
}

static std::string amiss_with(const char* name, const Configuration& c, cudaError_t* error) {
    char text[256] = "";
    uint64_t threads = uint64_t(c.block.x) * c.block.y * c.block.z;
    const unsigned most[] = {1024, 1024, 64};
    const unsigned sizes[] = {c.block.x, c.block.y, c.block.z}, grid[] = {c.grid.x, c.grid.y, c.grid.z};
    *error = cudaErrorInvalidConfiguration;
    if (threads > MOST_THREADS)
        snprintf(text, sizeof text, "a block has %llu threads, but at most %u are allowed", (unsigned long long)threads, MOST_THREADS);
    for (int i = 0; i < 3 && !*text; i++) {
        unsigned limit = i ? 65535 : 0x7fffffff;
        if (!grid[i] || grid[i] > limit)
            snprintf(text, sizeof text, "the grid is (%u,%u,%u), but its sizes are from 1 to (2147483647,65535,65535)", grid[0], grid[1], grid[2]);
        else if (!sizes[i] || sizes[i] > most[i])
            snprintf(text, sizeof text, "the block is (%u,%u,%u), but its sizes are from 1 to (1024,1024,64)", sizes[0], sizes[1], sizes[2]);
    }
    auto allowed = program->dynamic_allowed.find(plain_name(name));
    size_t limit = allowed == program->dynamic_allowed.end() ? MOST_STATIC : size_t(allowed->second);
    if (!*text && c.dynamic > std::max(limit, MOST_STATIC)) {
        *error = cudaErrorInvalidValue;
        snprintf(text, sizeof text, "it asks for %zu bytes of dynamic shared memory, but has %zu%s", c.dynamic, std::max(limit, MOST_STATIC),
                 c.dynamic <= 227 << 10 ? ": cudaFuncSetAttribute(..., cudaFuncAttributeMaxDynamicSharedMemorySize, ...) allows more" : "");
    }
    return text;
}

static cudaError_t error_of(const Event* event, const char* message) {
    if (event && event->kind == TIME) return cudaErrorLaunchTimeout;
    if (event && event->kind == MISALIGNED) return cudaErrorMisalignedAddress;
    if (strstr(message, "the assertion")) return cudaErrorAssert;
    return event && event->kind != DIVISION ? cudaErrorIllegalAddress : cudaErrorLaunchFailure;
}

void launch(const char* name, const Configuration& c, void (*body)(void*), void* what, uintptr_t first,
            uintptr_t end, void* where) {
    if (program->sticky) return;
    if (this_core() && this_core()->current) fail(where, "a kernel launches a kernel: the emulator has no dynamic parallelism");
    cudaError_t error;
    std::string amiss = amiss_with(name, c, &error);
    if (!amiss.empty()) {
        note("launch", where, nullptr, "the launch of %s fails: %s", name, amiss.c_str());
        fails(error, "the launch", where);
        return;
    }
    launches->push_back({});
    Launched& told = launches->back();
    snprintf(told.name, sizeof told.name, "%s", name);
    told.where = in_library(where), told.dynamic = c.dynamic;
    const dim3 shapes[] = {c.grid, c.block};
    for (int i = 0; i < 2; i++) memcpy(i ? told.block : told.grid, &shapes[i], sizeof told.grid);
    Launch launch;
    launch.grid = c.grid, launch.block = c.block, launch.dynamic_bytes = c.dynamic, launch.reverse = false;
    launch.body = body, launch.arguments = what;
    launch.message = told.message, launch.message_size = sizeof told.message;
    launch.ranges = nullptr, launch.ranges_count = 0, launch.counts = nullptr;
    launch.arguments_first = first, launch.arguments_end = end;
    Region* dynamic = find(uintptr_t(minires_dynamic_shared));
    if (dynamic) dynamic->size = c.dynamic;
    state->launches = uint32_t(launches->size() - 1);
    state->threads.first_block = state->blocks_before;
    state->threads.places.clear();
    itimerval limit{{0, 0}, {time_t(state->setup.patience), 0}}, never{};
    setitimer(ITIMER_REAL, &limit, nullptr);
    work(&launch);
    setitimer(ITIMER_REAL, &never, nullptr);
    fflush(stdout);
    state->blocks_before += c.grid.x * c.grid.y * c.grid.z;
    if (dynamic) dynamic->size = 0;
    program->is_running = true, program->launched = where;
    if (!launch.failed) return;
    told.stopped = in_library(launch.where);
    const Event* last = nullptr;
    if (!strcmp(told.message + std::max<size_t>(strlen(told.message), 9) - 9, ": stopped"))
        for (const Event& e : state->events)
            if (e.launch == state->launches || !last) last = &e;
    program->sticky = program->last = error_of(last, told.message);
}
Answer launch_answer() { return {program->last, program->last && !program->sticky ? int(program->failures.size()) - 1 : -1}; }

static Answer waited() {
    program->is_running = false, program->early.clear();
    return program->sticky ? stuck() : fine();
}
static void* handle() {  // of a stream or an event: a place where a time can stand
    return calloc(1, 16);
}

}  // namespace emulator::runtime

using emulator::runtime::Answer;
using emulator::runtime::program;
#define ANSWERS __attribute__((visibility("hidden"))) Answer

ANSWERS cudaDeviceSynchronize() { return emulator::runtime::waited(); }
ANSWERS cudaDeviceReset() {
    for (auto& r : emulator::watch::state->regions)
        if (r.made && !r.freed) r.freed = __builtin_return_address(0);
    return emulator::runtime::waited();
}
ANSWERS cudaPeekAtLastError() {
    for (auto& failure : program->failures) failure.asked = true;
    return {program->last, -1};
}
ANSWERS cudaGetLastError() {
    Answer answer = cudaPeekAtLastError();
    program->last = program->sticky;
    return answer;
}
const char* cudaGetErrorString(cudaError_t error) {
#define EMULATOR_ERROR(name, number, text) if (error == number) return text;
    EMULATOR_ERRORS(EMULATOR_ERROR)
#undef EMULATOR_ERROR
    return "unrecognized error code";
}
const char* cudaGetErrorName(cudaError_t error) {
#define EMULATOR_ERROR(name, number, text) if (error == number) return #name;
    EMULATOR_ERRORS(EMULATOR_ERROR)
#undef EMULATOR_ERROR
    return "unrecognized error code";
}
#define OF_DEVICE(call, device)                                                                       \
    if (device) {                                                                                     \
        void* where = __builtin_return_address(0);                                                    \
        emulator::runtime::note("launch", where, nullptr, "%s asks for device %d, but there is device 0 only", call, device); \
        return emulator::runtime::fails(cudaErrorInvalidDevice, call, where);                         \
    }
ANSWERS cudaGetDeviceCount(int* count) { return *count = 1, emulator::runtime::fine(); }
ANSWERS cudaGetDevice(int* device) { return *device = 0, emulator::runtime::fine(); }
ANSWERS cudaSetDevice(int device) {
    OF_DEVICE("cudaSetDevice", device)
    return emulator::runtime::fine();
}
ANSWERS cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
    OF_DEVICE("cudaGetDeviceProperties", device)
    *p = {};
    snprintf(p->name, sizeof p->name, "minires emulator");
    p->totalGlobalMem = emulator::runtime::MEMORY, p->sharedMemPerBlock = 48 << 10, p->regsPerBlock = 65536;
    p->warpSize = 32, p->memPitch = 0x7fffffff, p->maxThreadsPerBlock = 1024, p->totalConstMem = 65536;
    const int threads[] = {1024, 1024, 64}, blocks[] = {0x7fffffff, 65535, 65535};
    memcpy(p->maxThreadsDim, threads, sizeof threads), memcpy(p->maxGridSize, blocks, sizeof blocks);
    p->clockRate = 1000000, p->major = 9, p->textureAlignment = 512, p->multiProcessorCount = 2;
    p->canMapHostMemory = p->concurrentKernels = p->unifiedAddressing = p->managedMemory = 1;
    p->memoryClockRate = 1000000, p->memoryBusWidth = 64, p->l2CacheSize = 4 << 20, p->asyncEngineCount = 1;
    p->maxThreadsPerMultiProcessor = 2048, p->maxBlocksPerMultiProcessor = 32, p->regsPerMultiprocessor = 65536;
    p->sharedMemPerMultiprocessor = 228 << 10, p->sharedMemPerBlockOptin = 227 << 10;
    p->concurrentManagedAccess = 1;
    return emulator::runtime::fine();
}
ANSWERS cudaDeviceGetAttribute(int* value, cudaDeviceAttr what, int device) {
    OF_DEVICE("cudaDeviceGetAttribute", device)
    switch (what) {
        case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 << 10; break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrClockRate: *value = 1000000; break;
        case cudaDevAttrMultiProcessorCount: *value = 2; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
        case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 228 << 10; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 227 << 10; break;
        case cudaDevAttrManagedMemory: case cudaDevAttrConcurrentManagedAccess: *value = 1; break;
        default: *value = 0;
    }
    return emulator::runtime::fine();
}
ANSWERS cudaMemGetInfo(size_t* free, size_t* total) {
    *total = emulator::runtime::MEMORY, *free = *total - program->allocated;
    return emulator::runtime::fine();
}
ANSWERS cudaStreamCreate(cudaStream_t* s) { return *s = (cudaStream_t)emulator::runtime::handle(), emulator::runtime::fine(); }
ANSWERS cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { return cudaStreamCreate(s); }
ANSWERS cudaStreamDestroy(cudaStream_t s) { return free(s), emulator::runtime::fine(); }
ANSWERS cudaStreamSynchronize(cudaStream_t) { return emulator::runtime::waited(); }
ANSWERS cudaStreamQuery(cudaStream_t) { return emulator::runtime::waited(); }
ANSWERS cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return emulator::runtime::fine(); }
ANSWERS cudaEventCreate(cudaEvent_t* e) { return *e = (cudaEvent_t)emulator::runtime::handle(), emulator::runtime::fine(); }
ANSWERS cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return cudaEventCreate(e); }
ANSWERS cudaEventRecord(cudaEvent_t e, cudaStream_t) {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    *(double*)e = std::chrono::duration<double, std::milli>(now).count();
    return emulator::runtime::fine();
}
ANSWERS cudaEventSynchronize(cudaEvent_t) { return emulator::runtime::waited(); }
ANSWERS cudaEventQuery(cudaEvent_t) { return emulator::runtime::waited(); }
ANSWERS cudaEventElapsedTime(float* ms, cudaEvent_t a, cudaEvent_t b) {
    return *ms = float(*(double*)b - *(double*)a), emulator::runtime::fine();
}
ANSWERS cudaEventDestroy(cudaEvent_t e) { return free(e), emulator::runtime::fine(); }
