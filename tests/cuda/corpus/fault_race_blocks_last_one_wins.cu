//| grid=4, block=32
//| y=empty(1)
//| fault race between blocks: nothing orders blocks
__global__ void k(float* y) {
    if (threadIdx.x == 0) y[0] = blockIdx.x; // here
}
