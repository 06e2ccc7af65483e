//| grid=1, block=32
//| y=empty(32)
//| fault compile: expected
__global__ void k(float* y) {
    int i = threadIdx.x
    y[i] = 1; // here
}
