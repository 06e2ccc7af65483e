//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault race: s\[
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    int t = threadIdx.x;
    s[t] = x[t];
    for (int d = 1; d < 64; d *= 2) {
        __syncthreads();
        if (t >= d) s[t] += s[t - d]; // here
    }
    y[t] = s[t];
}
