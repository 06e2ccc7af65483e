//| grid=1, block=32
//| x=random(32), y=empty(32)
//| fault out of bounds: x
__global__ void k(const float* x, float* y) {
    unsigned left = threadIdx.x - 1;
    y[threadIdx.x] = x[left]; // here
}
