//| grid=(3, 3), block=(16, 16)
//| x=random(32, 32), y=empty(32, 32), w=32, h=32
//| expect y=x + np.arange(32)[:, None]
__global__ void k(const float* x, float* y, int w, int h) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < w && j < h) y[j * w + i] = x[j * w + i] + j;
}
