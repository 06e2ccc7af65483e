//| grid=2, block=64
//| x=random(512), y=empty(128)
//| expect y=x.reshape(2, 4, 64)[:, :, ::-1].sum(1).reshape(-1)
#include <cuda_pipeline.h>
__global__ void k(const float* x, float* y) {
    __shared__ float s[2][64];
    const float* own = x + blockIdx.x * 256;
    float sum = 0;
    __pipeline_memcpy_async(&s[0][threadIdx.x], &own[threadIdx.x], sizeof(float));
    __pipeline_commit();
    for (int i = 0; i < 4; i++) {
        if (i < 3)
            __pipeline_memcpy_async(&s[(i + 1) % 2][threadIdx.x], &own[(i + 1) * 64 + threadIdx.x], sizeof(float));
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        sum += s[i % 2][63 - threadIdx.x];
        __syncthreads();
    }
    y[blockIdx.x * 64 + threadIdx.x] = sum;
}
