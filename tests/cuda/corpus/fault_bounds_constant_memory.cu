//| grid=1, block=8
//| y=empty(8)
//| fault out of bounds: w
__constant__ float w[7] = {1, 2, 3, 4, 5, 6, 7};
__global__ void k(float* y) {
    y[threadIdx.x] = w[threadIdx.x]; // here
}
