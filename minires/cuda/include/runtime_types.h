// The types and numbers of CUDA's runtime that programs name.
#pragma once
#include <cstddef>
#include <cstdint>

#define EMULATOR_ERRORS(ERROR)                                                                  \
    ERROR(cudaSuccess, 0, "no error")                                                           \
    ERROR(cudaErrorInvalidValue, 1, "invalid argument")                                         \
    ERROR(cudaErrorMemoryAllocation, 2, "out of memory")                                        \
    ERROR(cudaErrorInitializationError, 3, "initialization error")                              \
    ERROR(cudaErrorInvalidConfiguration, 9, "invalid configuration argument")                   \
    ERROR(cudaErrorInvalidPitchValue, 12, "invalid pitch argument")                             \
    ERROR(cudaErrorInvalidSymbol, 13, "invalid device symbol")                                  \
    ERROR(cudaErrorInvalidDevicePointer, 17, "invalid device pointer")                          \
    ERROR(cudaErrorInvalidMemcpyDirection, 21, "invalid copy direction for memcpy")             \
    ERROR(cudaErrorInsufficientDriver, 35, "CUDA driver version is insufficient for CUDA runtime version") \
    ERROR(cudaErrorInvalidDeviceFunction, 98, "invalid device function")                        \
    ERROR(cudaErrorNoDevice, 100, "no CUDA-capable device is detected")                         \
    ERROR(cudaErrorInvalidDevice, 101, "invalid device ordinal")                                \
    ERROR(cudaErrorInvalidResourceHandle, 400, "invalid resource handle")                       \
    ERROR(cudaErrorNotReady, 600, "device not ready")                                           \
    ERROR(cudaErrorIllegalAddress, 700, "an illegal memory access was encountered")             \
    ERROR(cudaErrorLaunchOutOfResources, 701, "too many resources requested for launch")        \
    ERROR(cudaErrorLaunchTimeout, 702, "the launch timed out and was terminated")               \
    ERROR(cudaErrorPeerAccessAlreadyEnabled, 704, "peer access is already enabled")             \
    ERROR(cudaErrorAssert, 710, "device-side assert triggered")                                 \
    ERROR(cudaErrorMisalignedAddress, 716, "misaligned address")                                \
    ERROR(cudaErrorLaunchFailure, 719, "unspecified launch failure")                            \
    ERROR(cudaErrorNotSupported, 801, "operation not supported")                                \
    ERROR(cudaErrorUnknown, 999, "unknown error")

#define EMULATOR_ERROR(name, number, text) name = number,
enum cudaError { EMULATOR_ERRORS(EMULATOR_ERROR) };
#undef EMULATOR_ERROR
typedef enum cudaError cudaError_t;

enum cudaMemcpyKind {
    cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributePreferredSharedMemoryCarveout
};
enum cudaFuncCache {
    cudaFuncCachePreferNone, cudaFuncCachePreferShared, cudaFuncCachePreferL1, cudaFuncCachePreferEqual
};
enum cudaLimit { cudaLimitStackSize, cudaLimitPrintfFifoSize, cudaLimitMallocHeapSize };
enum cudaMemoryAdvise {
    cudaMemAdviseSetReadMostly = 1, cudaMemAdviseUnsetReadMostly, cudaMemAdviseSetPreferredLocation,
    cudaMemAdviseUnsetPreferredLocation, cudaMemAdviseSetAccessedBy, cudaMemAdviseUnsetAccessedBy
};
enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1, cudaDevAttrMaxSharedMemoryPerBlock = 8, cudaDevAttrWarpSize = 10,
    cudaDevAttrClockRate = 13, cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrMaxThreadsPerMultiProcessor = 39, cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76, cudaDevAttrMaxSharedMemoryPerMultiprocessor = 81,
    cudaDevAttrManagedMemory = 83, cudaDevAttrConcurrentManagedAccess = 89,
    cudaDevAttrCooperativeLaunch = 95, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
constexpr unsigned cudaHostAllocDefault = 0, cudaHostAllocPortable = 1, cudaHostAllocMapped = 2,
                   cudaHostAllocWriteCombined = 4, cudaMemAttachGlobal = 1, cudaStreamDefault = 0,
                   cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventBlockingSync = 1,
                   cudaEventDisableTiming = 2, cudaHostRegisterDefault = 0, cudaDeviceScheduleAuto = 0,
                   cudaDeviceMapHost = 8, cudaSharedmemCarveoutMaxShared = 100;
constexpr int cudaCpuDeviceId = -1;

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlock;
    int regsPerBlock, warpSize;
    size_t memPitch;
    int maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3], clockRate;
    size_t totalConstMem;
    int major, minor;
    size_t textureAlignment;
    int deviceOverlap, multiProcessorCount, kernelExecTimeoutEnabled, integrated, canMapHostMemory;
    int computeMode, concurrentKernels, ECCEnabled, pciBusID, pciDeviceID, pciDomainID, tccDriver;
    int asyncEngineCount, unifiedAddressing, memoryClockRate, memoryBusWidth, l2CacheSize;
    int maxThreadsPerMultiProcessor, streamPrioritiesSupported, maxBlocksPerMultiProcessor;
    size_t sharedMemPerMultiprocessor;
    int regsPerMultiprocessor, managedMemory, isMultiGpuBoard, cooperativeLaunch;
    size_t sharedMemPerBlockOptin;
    int concurrentManagedAccess, pageableMemoryAccess;
};
struct cudaFuncAttributes {
    size_t sharedSizeBytes, constSizeBytes, localSizeBytes;
    int maxThreadsPerBlock, numRegs, ptxVersion, binaryVersion;
};
