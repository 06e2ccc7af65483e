//| grid=256 // 100, block=100
//| x=random(256), y=empty(256), n=256
//| expect y=x
//| fault never written: 56 of 256 elements of y
__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i];
}
