//| grid=1, block=256
//| y=empty(256)
//| fault launch: 128
__global__ void __launch_bounds__(128) k(float* y) { y[threadIdx.x] = 1; }
