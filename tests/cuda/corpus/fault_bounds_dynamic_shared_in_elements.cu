//| grid=1, block=64, shared=64
//| x=random(64), y=empty(64)
//| fault out of bounds: s has 16 elements
extern __shared__ float s[];
__global__ void k(const float* x, float* y) {
    s[threadIdx.x] = x[threadIdx.x]; // here
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
}
