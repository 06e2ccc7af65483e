//| grid=(2, 3), block=(16, 16)
//| x=random(40, 24), y=empty(40, 24), w=24, h=40
//| fault out of bounds: x\[
__global__ void k(const float* x, float* y, int w, int h) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.y * blockDim.y + threadIdx.y;
    if (i < w && j < h) y[i * h + j] = x[j * h + i]; // here
}
