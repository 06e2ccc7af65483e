//| grid=1, block=32
//| x=random(32), y=empty(32)
//| fault race: __syncwarp
__global__ void k(const float* x, float* y) {
    __shared__ float s[32];
    int t = threadIdx.x;
    s[t] = x[t];
    __syncwarp();
    if (t < 16) s[t] += s[t + 16];
    if (t < 8) s[t] += s[t + 8]; // here
    y[t] = s[0];
}
