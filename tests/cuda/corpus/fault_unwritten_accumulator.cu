//| grid=1, block=64
//| x=random(64), y=empty(1)
//| fault uninitialised: sum.*which nobody has written
__global__ void k(const float* x, float* y) {
    __shared__ float sum;
    atomicAdd(&sum, x[threadIdx.x]); // here
    __syncthreads();
    if (threadIdx.x == 0) y[0] = sum;
}
