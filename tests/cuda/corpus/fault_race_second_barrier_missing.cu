//| grid=1, block=64
//| x=random(256), y=empty(64)
//| fault race: s\[
__global__ void k(const float* x, float* y) {
    __shared__ float s[64];
    float sum = 0;
    for (int t = 0; t < 4; t++) {
        s[threadIdx.x] = x[t * 64 + threadIdx.x]; // here
        __syncthreads();
        sum += s[63 - threadIdx.x];
    }
    y[threadIdx.x] = sum;
}
