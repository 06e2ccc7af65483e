//| grid=(2, 2), block=(16, 16)
//| a=random(32, 32), b=random(32, 32).T.copy(), c=empty(32, 32), n=32
//| expect c=a @ b
#define T 16
__global__ void k(const float* a, const float* b, float* c, int n) {
    __shared__ float sa[T][T], sb[T][T];
    int i = blockIdx.y * T + threadIdx.y, j = blockIdx.x * T + threadIdx.x;
    float sum = 0;
    for (int t = 0; t < n / T; t++) {
        sa[threadIdx.y][threadIdx.x] = a[i * n + t * T + threadIdx.x];
        sb[threadIdx.y][threadIdx.x] = b[(t * T + threadIdx.y) * n + j];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < T; k++) sum += sa[threadIdx.y][k] * sb[k][threadIdx.x];
        __syncthreads();
    }
    c[i * n + j] = sum;
}
