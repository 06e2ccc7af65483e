//| grid=4, block=64
//| x=random(256), y=empty(256), n=256
//| expect y=x
//| fault never written: elements of y
__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * gridDim.x * 16 + threadIdx.x % 32;
    if (i < n) y[i] = x[i];
}
