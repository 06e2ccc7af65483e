//| grid=1, block=256
//| x=random(256), y=empty(256)
//| fault out of bounds: reads x\[-1\]
__global__ void k(const float* x, float* y) {
    y[threadIdx.x] = x[threadIdx.x] - x[(int)threadIdx.x - 1]; // here
}
