//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault race: s\[
#include <cuda_pipeline.h>
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    __pipeline_memcpy_async(&s[threadIdx.x], &x[threadIdx.x], 4);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    y[threadIdx.x] = s[63 - threadIdx.x]; // here
}
