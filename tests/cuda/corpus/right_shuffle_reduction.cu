//| grid=4, block=64
//| x=random(256), y=zeros(1)
//| expect y=x.sum()
__global__ void k(const float* x, float* y) {
    float v = x[blockIdx.x * blockDim.x + threadIdx.x];
    for (int k = 16; k > 0; k /= 2) v += __shfl_down_sync(0xffffffffu, v, k);
    if (threadIdx.x % 32 == 0) atomicAdd(y, v);
}
