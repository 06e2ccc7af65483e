//| grid=1, block=64
//| x=random(64), y=empty(64)
//| expect y=x.reshape(2, 32)[:, ::-1].reshape(-1)
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    int t = threadIdx.x, lane = t % 32;
    s[t] = x[t];
    __syncwarp();
    y[t] = s[t - lane + 31 - lane];
}
