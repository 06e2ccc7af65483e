//| grid=1, block=64
//| x=random(64), y=empty(1)
//| fault race: s\[
__device__ void last_warp(volatile float* s, int t) {
    s[t] += s[t + 32];
    s[t] += s[t + 16]; // here
    s[t] += s[t + 8];
    s[t] += s[t + 4];
    s[t] += s[t + 2];
    s[t] += s[t + 1];
}
__global__ void k(const float* x, float* y) {
    __shared__ float s[96];
    s[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x < 32) s[threadIdx.x + 64] = 0;
    __syncthreads();
    if (threadIdx.x < 32) last_warp(s, threadIdx.x);
    if (threadIdx.x == 0) y[0] = s[0];
}
