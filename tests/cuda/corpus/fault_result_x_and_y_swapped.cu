//| grid=(2, 2), block=(16, 16)
//| x=random(32, 32), y=empty(32, 32), w=32, h=32
//| expect y=x
//| fault wrong result: elements of y are wrong
__global__ void k(const float* x, float* y, int w, int h) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < w && j < h) y[i * h + j] = x[j * w + i];
}
