//| grid=1, block=64
//| x=np.float32(range(64)) % 7, y=empty(64), steps=4
//| expect y=np.linalg.matrix_power(np.eye(64) / 2 + (np.eye(64, k=1) + np.eye(64, k=-1)) / 4 + np.diag([0.25] + [0] * 62 + [0.25]), 4) @ x
__global__ void k(const float* x, float* y, int steps) {
    __shared__ float a[64], b[64];
    float *now = a, *next = b;
    int t = threadIdx.x;
    now[t] = x[t];
    __syncthreads();
    for (int s = 0; s < steps; s++) {
        float left = now[t > 0 ? t - 1 : 0], right = now[t < 63 ? t + 1 : 63];
        next[t] = now[t] / 2 + (left + right) / 4;
        __syncthreads();
        float* other = now;
        now = next, next = other;
    }
    y[t] = now[t];
}
