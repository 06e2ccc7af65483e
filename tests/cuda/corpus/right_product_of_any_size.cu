//| grid=(3, 2), block=(8, 8)
//| a=random(13, 21), b=random(21, 18), c=empty(13, 18), m=13, n=18, p=21
//| expect c=a @ b
__global__ void k(const float* a, const float* b, float* c, int m, int n, int p) {
    __shared__ float sa[8][8], sb[8][8];
    int row = blockIdx.y * 8 + threadIdx.y, column = blockIdx.x * 8 + threadIdx.x;
    float sum = 0;
    for (int t = 0; t < (p + 7) / 8; t++) {
        int ka = t * 8 + threadIdx.x, kb = t * 8 + threadIdx.y;
        sa[threadIdx.y][threadIdx.x] = row < m && ka < p ? a[row * p + ka] : 0.0f;
        sb[threadIdx.y][threadIdx.x] = kb < p && column < n ? b[kb * n + column] : 0.0f;
        __syncthreads();
        for (int i = 0; i < 8; i++) sum += sa[threadIdx.y][i] * sb[i][threadIdx.x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}
