//| grid=3, block=100
//| x=random(256), y=empty(256), n=256
//| fault out of bounds: x\[256\], but x has 256 elements
__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) y[i] = x[i]; // here
}
