//| grid=2, block=32
//| x=whole(100, 64), y=np.full(8, 50, "i4")
//| expect y=np.minimum(x.reshape(8, 8).min(0), 50)
__global__ void k(const int* x, int* y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (x[i] < y[i % 8]) atomicMin(&y[i % 8], x[i]);
}
