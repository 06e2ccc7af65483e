//| grid=4, block=64
//| x=random(256), y=zeros(1)
//| fault race between blocks: y\[0\]
__global__ void k(const float* x, float* y) {
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int d = 16; d; d /= 2) v += __shfl_down_sync(~0u, v, d);
    __shared__ float s[2];
    if (threadIdx.x % 32 == 0) s[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x == 0) *y += s[0] + s[1]; // here
}
