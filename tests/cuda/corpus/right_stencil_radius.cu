//| grid=4, block=64
//| x=random(262), y=empty(256)
//| expect y=np.convolve(x, np.ones(7, "f4"), "valid")
#define RADIUS 3
#define BLOCK 64
__global__ void k(const float* x, float* y) {
    __shared__ float s[BLOCK + 2 * RADIUS];
    int g = threadIdx.x + blockIdx.x * blockDim.x, l = threadIdx.x + RADIUS;
    s[l] = x[g + RADIUS];
    if (threadIdx.x < RADIUS) {
        s[l - RADIUS] = x[g];
        s[l + BLOCK] = x[g + RADIUS + BLOCK];
    }
    __syncthreads();
    float sum = 0;
    for (int o = -RADIUS; o <= RADIUS; o++) sum += s[l + o];
    y[g] = sum;
}
