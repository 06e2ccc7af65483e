//| grid=(2, 2), block=(16, 16)
//| x=random(32, 32), y=empty(32, 32), n=32
//| expect y=x.T
__global__ void k(const float* x, float* y, int n) {
    __shared__ float tile[16][17];
    int i = blockIdx.x * 16 + threadIdx.x, j = blockIdx.y * 16 + threadIdx.y;
    tile[threadIdx.y][threadIdx.x] = x[j * n + i];
    __syncthreads();
    i = blockIdx.y * 16 + threadIdx.x, j = blockIdx.x * 16 + threadIdx.y;
    y[j * n + i] = tile[threadIdx.x][threadIdx.y];
}
