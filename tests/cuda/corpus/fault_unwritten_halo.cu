//| grid=4, block=64
//| x=random(256), y=empty(256), n=256
//| fault uninitialised: s\[
__global__ void k(const float* x, float* y, int n) {
    __shared__ float s[66];
    int i = blockIdx.x * 64 + threadIdx.x, t = threadIdx.x + 1;
    s[t] = x[i];
    if (threadIdx.x == 0 && i > 0) s[0] = x[i - 1];
    if (threadIdx.x == 63 && i + 1 < n) s[65] = x[i + 1];
    __syncthreads();
    y[i] = s[t - 1] + s[t] + s[t + 1]; // here
}
