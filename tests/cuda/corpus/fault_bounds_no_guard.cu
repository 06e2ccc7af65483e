//| grid=3, block=100
//| y=zeros(256)
//| fault out of bounds: y\[256\]
__global__ void k(float* y) {
    y[blockIdx.x * blockDim.x + threadIdx.x] = 1; // here
}
