//| grid=1, block=32
//| y=empty(32)
//| expect y=np.arange(32) / 32
//| fault wrong result: 31 of 32
__global__ void k(float* y) { y[threadIdx.x] = threadIdx.x / blockDim.x; }
