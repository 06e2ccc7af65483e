//| grid=2, block=32
//| y=empty(64)
//| expect y=5 + np.arange(64)
__device__ int offset = 5;
__device__ float table[64];
__global__ void k(float* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    table[i] = i;
    y[i] = table[i] + offset;
}
