//| grid=1, block=32
//| x=random(32), y=zeros(32)
//| fault warp: mask
__global__ void k(const float* x, float* y) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 20) v += __shfl_down_sync(0xffffffffu, v, 1);
    else y[threadIdx.x] = __shfl_up_sync(0xfff00000u, v, 1); // here
    y[threadIdx.x] = v;
}
