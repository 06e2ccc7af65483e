//| grid=1, block=32, shared=300000
//| y=empty(32)
//| fault launch: 232448
__global__ void k(float* y) { y[threadIdx.x] = 1; }
