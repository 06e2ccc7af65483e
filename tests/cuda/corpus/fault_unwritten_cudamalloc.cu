//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault uninitialised: reads y\[
__global__ void k(const float* x, float* y) {
    y[threadIdx.x] += x[threadIdx.x]; // here
}
