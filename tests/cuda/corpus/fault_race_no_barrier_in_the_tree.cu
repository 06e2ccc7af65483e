//| grid=4, block=64
//| x=random(256), y=empty(4)
//| fault race: s\[
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    int t = threadIdx.x;
    s[t] = x[blockIdx.x * blockDim.x + t];
    __syncthreads();
    for (int k = blockDim.x / 2; k > 0; k /= 2)
        if (t < k) s[t] += s[t + k]; // here
    if (t == 0) y[blockIdx.x] = s[0];
}
