//| grid=(1, 1), block=(16, 16)
//| a=random(16, 16), b=random(16, 16), c=empty(16, 16)
//| fault race: s[ab]
__global__ void k(const float* a, const float* b, float* c) {
    __shared__ float sa[16][16], sb[16][16];
    sa[threadIdx.y][threadIdx.x] = a[threadIdx.y * 16 + threadIdx.x];
    sb[threadIdx.y][threadIdx.x] = b[threadIdx.y * 16 + threadIdx.x];
    float sum = 0;
    for (int k = 0; k < 16; k++) sum += sa[threadIdx.y][k] * sb[k][threadIdx.x]; // here
    c[threadIdx.y * 16 + threadIdx.x] = sum;
}
