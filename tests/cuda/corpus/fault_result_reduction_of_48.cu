//| grid=1, block=48
//| x=random(48), y=empty(1)
//| expect y=x.sum()
//| fault wrong result: 1 of 1 elements of y
__global__ void k(const float* x, float* y) {
    __shared__ float s[48];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncthreads();
    for (int k = blockDim.x / 2; k > 0; k /= 2) {
        if (t < k) s[t] += s[t + k];
        __syncthreads();
    }
    if (t == 0) y[0] = s[0];
}
