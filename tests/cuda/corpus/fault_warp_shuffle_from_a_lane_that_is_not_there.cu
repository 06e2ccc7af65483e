//| grid=1, block=32
//| x=random(32), y=zeros(32)
//| fault warp: lane 16
__global__ void k(const float* x, float* y) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffu, v, 16); // here
}
