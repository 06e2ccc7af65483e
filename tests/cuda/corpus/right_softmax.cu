//| grid=4, block=32
//| x=random(4, 50), y=empty(4, 50), n=50
//| expect y=np.exp(x) / np.exp(x).sum(1, keepdims=True)
__global__ void k(const float* x, float* y, int n) {
    const float* row = x + blockIdx.x * n;
    float most = -INFINITY, sum = 0;
    for (int i = threadIdx.x; i < n; i += 32) most = fmaxf(most, row[i]);
    for (int m = 16; m; m /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, m));
    for (int i = threadIdx.x; i < n; i += 32) sum += expf(row[i] - most);
    for (int m = 16; m; m /= 2) sum += __shfl_xor_sync(~0u, sum, m);
    for (int i = threadIdx.x; i < n; i += 32) y[blockIdx.x * n + i] = expf(row[i] - most) / sum;
}
