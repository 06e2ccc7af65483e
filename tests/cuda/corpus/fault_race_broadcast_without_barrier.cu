//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault race: mean
__global__ void k(const float* x, float* y) {
    __shared__ float mean;
    if (threadIdx.x == 0) {
        float sum = 0;
        for (int i = 0; i < 64; i++) sum += x[i];
        mean = sum / 64; // here
    }
    y[threadIdx.x] = x[threadIdx.x] - mean;
}
