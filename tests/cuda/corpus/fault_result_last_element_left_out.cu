//| grid=4, block=64
//| x=random(256), y=empty(256), n=256
//| expect y=x
//| fault never written: 1 of 256 elements of y
__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n - 1) y[i] = x[i];
}
