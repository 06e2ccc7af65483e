//| grid=1, block=64, shared=256
//| x=random(64), y=empty(64), n=64
//| expect y=x[::-1]
extern __shared__ float s[];
__global__ void k(const float* x, float* y, int n) {
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[n - 1 - threadIdx.x];
}
