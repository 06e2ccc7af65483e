//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault race: barrier between|syncthreads
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x]; // here
    float sum = 0;
    for (int i = 0; i < 64; i++) sum += s[i];
    y[threadIdx.x] = sum;
}
