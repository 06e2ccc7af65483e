//| grid=1, block=32
//| y=empty(32)
//| fault compile: threadIndex
__global__ void k(float* y) {
    y[threadIndex.x] = 1; // here
}
