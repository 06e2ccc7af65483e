//| grid=(2, 2), block=(16, 16)
//| a=random(32, 32), b=random(32, 32), c=empty(32, 32), n=32
//| fault race: s[ab]
__global__ void k(const float* a, const float* b, float* c, int n) {
    __shared__ float sa[16][16], sb[16][16];
    int i = blockIdx.y * 16 + threadIdx.y, j = blockIdx.x * 16 + threadIdx.x;
    float sum = 0;
    for (int t = 0; t < n / 16; t++) {
        sa[threadIdx.y][threadIdx.x] = a[i * n + t * 16 + threadIdx.x];
        sb[threadIdx.y][threadIdx.x] = b[(t * 16 + threadIdx.y) * n + j]; // here
        __syncthreads();
        for (int k = 0; k < 16; k++) sum += sa[threadIdx.y][k] * sb[k][threadIdx.x];
    }
    c[i * n + j] = sum;
}
