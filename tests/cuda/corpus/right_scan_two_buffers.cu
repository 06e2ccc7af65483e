//| grid=1, block=64
//| x=random(64), y=empty(64)
//| expect y=np.cumsum(x)
__global__ void k(const float* x, float* y) {
    __shared__ float s[2][64];
    int t = threadIdx.x, from = 0;
    s[0][t] = x[t];
    __syncthreads();
    for (int k = 1; k < 64; k *= 2) {
        s[1 - from][t] = s[from][t] + (t >= k ? s[from][t - k] : 0);
        from = 1 - from;
        __syncthreads();
    }
    y[t] = s[from][t];
}
