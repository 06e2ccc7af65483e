//| grid=1, block=128
//| x=random(128), y=empty(3, dtype="i4")
//| expect y=[(x > 0.3).sum(), (x < 2).all(), (x > 2).any()]
__global__ void k(const float* x, int* y) {
    int n = __syncthreads_count(x[threadIdx.x] > 0.3f);
    int all = __syncthreads_and(x[threadIdx.x] < 2), any = __syncthreads_or(x[threadIdx.x] > 2);
    if (threadIdx.x == 0) y[0] = n, y[1] = all != 0, y[2] = any != 0;
}
