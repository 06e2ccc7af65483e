// CUDA's runtime as a program calls it: memory, copies, launches, errors, streams, events.
//
// Launches and copies are done at once, in the program's order. What is amiss is noted with its
// place in the code (runtime_memory.h, runtime_launch.h). Kernels are launched by what textbook.py
// makes of <<<...>>>.
#pragma once
#include <cstdio>
#include <cstdlib>

#include "runtime_types.h"

namespace emulator::runtime {

void asked(int failure);

// An error as a call returns it; it knows whether the program has looked at it.
struct Answer {
    cudaError_t error;
    int failure;  // its number among the calls that failed, or -1
    operator cudaError_t() const {
        if (failure >= 0) asked(failure);
        return error;
    }
};

template <class T> struct Size { static constexpr size_t of = sizeof(T); };
template <> struct Size<void> { static constexpr size_t of = 0; };
template <> struct Size<const void> { static constexpr size_t of = 0; };

enum Where : uint32_t { DEVICE, MANAGED, PINNED };
Answer allocate(const char* text, void** place, size_t bytes, size_t item, Where, void* where);
Answer set_attribute(const char* text, cudaFuncAttribute, int value, void* where);

template <class T>
EMULATOR_OWN Answer make(const char* text, Where kind, T** place, size_t bytes, unsigned = 0) {
    return allocate(text, (void**)place, bytes, Size<T>::of, kind, __builtin_return_address(0));
}
template <class T>
EMULATOR_OWN Answer make_rows(const char* text, T** place, size_t* pitch, size_t width, size_t height) {
    *pitch = (width + 511) / 512 * 512;
    return allocate(text, (void**)place, *pitch * height, Size<T>::of, DEVICE, __builtin_return_address(0));
}
template <class T>
EMULATOR_OWN Answer make_async(const char* text, T** place, size_t bytes, cudaStream_t) {
    return allocate(text, (void**)place, bytes, Size<T>::of, DEVICE, __builtin_return_address(0));
}
template <class F>
EMULATOR_OWN Answer set_attribute_of(const char* text, F, cudaFuncAttribute what, int value) {
    return set_attribute(text, what, value, __builtin_return_address(0));
}

Answer copy(const char* call, void* to, const void* from, size_t bytes, cudaMemcpyKind, bool later, void* where);
Answer copy_rows(const char* call, void* to, size_t to_pitch, const void* from, size_t from_pitch,
                 size_t width, size_t height, cudaMemcpyKind, bool later, void* where);
Answer set(const char* call, void* to, int value, size_t bytes, void* where);
Answer release(const char* call, void* place, Where, void* where);

struct Configuration {
    dim3 grid, block;
    size_t dynamic;
    cudaStream_t stream;
};
inline Configuration configure(dim3 grid, dim3 block, size_t dynamic = 0, cudaStream_t stream = nullptr) {
    return {grid, block, dynamic, stream};
}
void launch(const char* name, const Configuration&, void (*body)(void*), void* what, uintptr_t first,
            uintptr_t end, void* where);
Answer launch_answer();

template <class F, class... A>
struct Call {
    F* body;
    void** arguments;
    template <size_t... I> EMULATOR_OWN void run(std::index_sequence<I...>) {
        (*body)(*(A*)arguments[I]...);
    }
    EMULATOR_OWN static void start(void* call) { ((Call*)call)->run(std::index_sequence_for<A...>{}); }
};

// What stands before a launch's arguments: they are evaluated once and copied, as on a GPU.
template <class F>
struct Launcher {
    const char* name;
    Configuration configuration;
    F body;
    template <class... A> EMULATOR_OWN void operator()(A... given) {
        void* arguments[] = {(void*)&given..., nullptr};
        uintptr_t first = ~uintptr_t(0), end = 0;
        ((first = std::min(first, uintptr_t(&given)), end = std::max(end, uintptr_t(&given + 1))), ...);
        Call<F, A...> call{&body, arguments};
        launch(name, configuration, Call<F, A...>::start, &call, first, end, __builtin_return_address(0));
    }
};
template <class F> Launcher<F> launcher(const char* name, Configuration configuration, F body) {
    return {name, configuration, body};
}

template <class... P, size_t... I>
EMULATOR_OWN void launch_pointers(void (*kernel)(P...), const Configuration& configuration, void** given,
                                  std::index_sequence<I...>, void* where) {
    struct All { void (*kernel)(P...); void** given; } all{kernel, given};
    auto body = [](void* what) EMULATOR_OWN { ((All*)what)->kernel(*(P*)((All*)what)->given[I]...); };
    launch("a kernel", configuration, body, &all, uintptr_t(&all), uintptr_t(&all + 1), where);
}

}  // namespace emulator::runtime

#define cudaMalloc(...) emulator::runtime::make(#__VA_ARGS__, emulator::runtime::DEVICE, __VA_ARGS__)
#define cudaMallocManaged(...) emulator::runtime::make(#__VA_ARGS__, emulator::runtime::MANAGED, __VA_ARGS__)
#define cudaMallocHost(...) emulator::runtime::make(#__VA_ARGS__, emulator::runtime::PINNED, __VA_ARGS__)
#define cudaHostAlloc(...) emulator::runtime::make(#__VA_ARGS__, emulator::runtime::PINNED, __VA_ARGS__)
#define cudaMallocPitch(...) emulator::runtime::make_rows(#__VA_ARGS__, __VA_ARGS__)
#define cudaMallocAsync(...) emulator::runtime::make_async(#__VA_ARGS__, __VA_ARGS__)
#define cudaFuncSetAttribute(...) emulator::runtime::set_attribute_of(#__VA_ARGS__, __VA_ARGS__)

#define EMULATOR_HERE __builtin_return_address(0)
#define EMULATOR_CALL EMULATOR_OWN inline emulator::runtime::Answer

EMULATOR_CALL cudaFree(void* place) {
    return emulator::runtime::release("cudaFree", place, emulator::runtime::DEVICE, EMULATOR_HERE);
}
EMULATOR_CALL cudaFreeAsync(void* place, cudaStream_t) {
    return emulator::runtime::release("cudaFreeAsync", place, emulator::runtime::DEVICE, EMULATOR_HERE);
}
EMULATOR_CALL cudaFreeHost(void* place) {
    return emulator::runtime::release("cudaFreeHost", place, emulator::runtime::PINNED, EMULATOR_HERE);
}
EMULATOR_CALL cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    return emulator::runtime::copy("cudaMemcpy", to, from, bytes, kind, false, EMULATOR_HERE);
}
EMULATOR_CALL cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                              cudaStream_t = nullptr) {
    return emulator::runtime::copy("cudaMemcpyAsync", to, from, bytes, kind, true, EMULATOR_HERE);
}
EMULATOR_CALL cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                           size_t height, cudaMemcpyKind kind) {
    return emulator::runtime::copy_rows("cudaMemcpy2D", to, to_pitch, from, from_pitch, width, height, kind,
                                        false, EMULATOR_HERE);
}
EMULATOR_CALL cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                                size_t height, cudaMemcpyKind kind, cudaStream_t = nullptr) {
    return emulator::runtime::copy_rows("cudaMemcpy2DAsync", to, to_pitch, from, from_pitch, width, height,
                                        kind, true, EMULATOR_HERE);
}
EMULATOR_CALL cudaMemset(void* to, int value, size_t bytes) {
    return emulator::runtime::set("cudaMemset", to, value, bytes, EMULATOR_HERE);
}
EMULATOR_CALL cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t = nullptr) {
    return emulator::runtime::set("cudaMemsetAsync", to, value, bytes, EMULATOR_HERE);
}
template <class T>
EMULATOR_CALL cudaMemcpyToSymbol(const T& symbol, const void* from, size_t bytes, size_t offset = 0,
                                 cudaMemcpyKind kind = cudaMemcpyHostToDevice) {
    return emulator::runtime::copy("cudaMemcpyToSymbol", (char*)&symbol + offset, from, bytes, kind, false,
                                   EMULATOR_HERE);
}
template <class T>
EMULATOR_CALL cudaMemcpyFromSymbol(void* to, const T& symbol, size_t bytes, size_t offset = 0,
                                   cudaMemcpyKind kind = cudaMemcpyDeviceToHost) {
    return emulator::runtime::copy("cudaMemcpyFromSymbol", to, (const char*)&symbol + offset, bytes, kind,
                                   false, EMULATOR_HERE);
}
template <class T>
EMULATOR_CALL cudaMemcpyToSymbolAsync(const T& symbol, const void* from, size_t bytes, size_t offset,
                                      cudaMemcpyKind kind, cudaStream_t = nullptr) {
    return emulator::runtime::copy("cudaMemcpyToSymbolAsync", (char*)&symbol + offset, from, bytes, kind,
                                   true, EMULATOR_HERE);
}
template <class T, class S> EMULATOR_CALL cudaGetSymbolAddress(T** place, const S& symbol) {
    *place = (T*)&symbol;
    return {cudaSuccess, -1};
}
template <class S> EMULATOR_CALL cudaGetSymbolSize(size_t* size, const S& symbol) {
    *size = sizeof symbol;
    return {cudaSuccess, -1};
}
template <class... P>
EMULATOR_CALL cudaLaunchKernel(void (*kernel)(P...), dim3 grid, dim3 block, void** given,
                               size_t dynamic = 0, cudaStream_t stream = nullptr) {
    emulator::runtime::launch_pointers(kernel, {grid, block, dynamic, stream}, given,
                                       std::index_sequence_for<P...>{}, EMULATOR_HERE);
    return emulator::runtime::launch_answer();
}

emulator::runtime::Answer cudaDeviceSynchronize();
emulator::runtime::Answer cudaDeviceReset();
emulator::runtime::Answer cudaGetLastError();
emulator::runtime::Answer cudaPeekAtLastError();
const char* cudaGetErrorString(cudaError_t);
const char* cudaGetErrorName(cudaError_t);
emulator::runtime::Answer cudaGetDeviceCount(int*);
emulator::runtime::Answer cudaGetDevice(int*);
emulator::runtime::Answer cudaSetDevice(int);
emulator::runtime::Answer cudaGetDeviceProperties(cudaDeviceProp*, int);
emulator::runtime::Answer cudaDeviceGetAttribute(int*, cudaDeviceAttr, int);
emulator::runtime::Answer cudaMemGetInfo(size_t* free, size_t* total);
emulator::runtime::Answer cudaStreamCreate(cudaStream_t*);
emulator::runtime::Answer cudaStreamCreateWithFlags(cudaStream_t*, unsigned);
emulator::runtime::Answer cudaStreamDestroy(cudaStream_t);
emulator::runtime::Answer cudaStreamSynchronize(cudaStream_t);
emulator::runtime::Answer cudaStreamQuery(cudaStream_t);
emulator::runtime::Answer cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned = 0);
emulator::runtime::Answer cudaEventCreate(cudaEvent_t*);
emulator::runtime::Answer cudaEventCreateWithFlags(cudaEvent_t*, unsigned);
emulator::runtime::Answer cudaEventRecord(cudaEvent_t, cudaStream_t = nullptr);
emulator::runtime::Answer cudaEventSynchronize(cudaEvent_t);
emulator::runtime::Answer cudaEventQuery(cudaEvent_t);
emulator::runtime::Answer cudaEventElapsedTime(float*, cudaEvent_t, cudaEvent_t);
emulator::runtime::Answer cudaEventDestroy(cudaEvent_t);

// What has no meaning on this machine is answered with success.
#define EMULATOR_NOTHING(name) \
    template <class... A> inline emulator::runtime::Answer name(A...) { return {cudaSuccess, -1}; }
EMULATOR_NOTHING(cudaDeviceSetCacheConfig)
EMULATOR_NOTHING(cudaDeviceSetLimit)
EMULATOR_NOTHING(cudaFuncSetCacheConfig)
EMULATOR_NOTHING(cudaSetDeviceFlags)
EMULATOR_NOTHING(cudaMemPrefetchAsync)
EMULATOR_NOTHING(cudaMemAdvise)
EMULATOR_NOTHING(cudaProfilerStart)
EMULATOR_NOTHING(cudaProfilerStop)
EMULATOR_NOTHING(cudaHostRegister)
EMULATOR_NOTHING(cudaHostUnregister)
inline emulator::runtime::Answer cudaDriverGetVersion(int* v) { return *v = 13000, emulator::runtime::Answer{cudaSuccess, -1}; }
inline emulator::runtime::Answer cudaRuntimeGetVersion(int* v) { return *v = 13000, emulator::runtime::Answer{cudaSuccess, -1}; }
template <class T> inline emulator::runtime::Answer cudaHostGetDevicePointer(T** device, void* host, unsigned) {
    return *device = (T*)host, emulator::runtime::Answer{cudaSuccess, -1};
}
template <class F>
inline emulator::runtime::Answer cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, F, size_t = 0, int limit = 0) {
    *block = limit ? limit : 1024, *grid = 2;  // as many as its processors take, which are 2
    return {cudaSuccess, -1};
}
template <class F>
inline emulator::runtime::Answer cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, F, int size, size_t) {
    *blocks = size > 0 ? 2048 / size : 0;
    return {cudaSuccess, -1};
}
template <class F> inline emulator::runtime::Answer cudaFuncGetAttributes(cudaFuncAttributes* of, F) {
    *of = {}, of->maxThreadsPerBlock = 1024;
    return {cudaSuccess, -1};
}
