//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault out of bounds: s\[65\]
__global__ void k(const float* x, float* y) {
    __shared__ float s[65];
    int t = threadIdx.x;
    s[t + 1] = x[t];
    if (t == 0) s[0] = 0;
    __syncthreads();
    y[t] = s[t] + s[t + 2]; // here
}
