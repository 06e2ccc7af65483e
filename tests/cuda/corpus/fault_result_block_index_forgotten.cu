//| grid=4, block=64
//| x=random(256), y=empty(256)
//| expect y=x
//| fault never written: 192 of 256 elements of y
__global__ void k(const float* x, float* y) {
    int i = threadIdx.x;
    y[i] = x[i];
}
