//| grid=1, block=32
//| x=random(32), y=empty(32)
//| expect y=x.sum()
//| fault wrong result: 31 of 32
__global__ void k(const float* x, float* y) {
    float v = x[threadIdx.x];
    for (int d = 16; d; d /= 2) v += __shfl_down_sync(~0u, v, d);
    y[threadIdx.x] = v;
}
