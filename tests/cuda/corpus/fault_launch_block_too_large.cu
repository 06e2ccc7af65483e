//| grid=1, block=2048
//| y=empty(2048)
//| fault launch: 1024
__global__ void k(float* y) { y[threadIdx.x] = 1; }
