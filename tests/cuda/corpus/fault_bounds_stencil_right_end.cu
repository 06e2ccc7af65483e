//| grid=4, block=64
//| x=random(256), y=empty(256), n=256
//| fault out of bounds: x\[256\]
__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i > 0 && i < n) y[i] = (x[i - 1] + x[i] + x[i + 1]) / 3; // here
    if (i == 0) y[0] = x[0];
}
