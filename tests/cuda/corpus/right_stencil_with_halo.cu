//| grid=4, block=64
//| x=random(256), y=empty(256), n=256
//| expect y=np.convolve(x, np.ones(3, "f4"), "same")
__global__ void k(const float* x, float* y, int n) {
    __shared__ float s[66];
    int i = blockIdx.x * 64 + threadIdx.x, t = threadIdx.x + 1;
    s[t] = x[i];
    if (threadIdx.x == 0) s[0] = i > 0 ? x[i - 1] : 0;
    if (threadIdx.x == 63) s[65] = i + 1 < n ? x[i + 1] : 0;
    __syncthreads();
    y[i] = s[t - 1] + s[t] + s[t + 1];
}
