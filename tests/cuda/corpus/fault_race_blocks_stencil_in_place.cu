//| grid=4, block=64
//| y=random(258)
//| fault race between blocks: y\[
__global__ void k(float* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x + 1;
    float v = y[i - 1] + y[i + 1]; // here
    __syncthreads();
    y[i] = v / 2;
}
