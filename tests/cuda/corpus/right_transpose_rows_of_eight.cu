//| grid=(2, 2), block=(32, 8)
//| x=random(50, 40), y=empty(40, 50), w=40, h=50
//| expect y=x.T
#define TILE 32
#define ROWS 8
__global__ void k(const float* x, float* y, int w, int h) {
    __shared__ float tile[TILE][TILE + 1];
    int i = blockIdx.x * TILE + threadIdx.x, j = blockIdx.y * TILE + threadIdx.y;
    for (int r = 0; r < TILE; r += ROWS)
        if (i < w && j + r < h) tile[threadIdx.y + r][threadIdx.x] = x[(j + r) * w + i];
    __syncthreads();
    i = blockIdx.y * TILE + threadIdx.x, j = blockIdx.x * TILE + threadIdx.y;
    for (int r = 0; r < TILE; r += ROWS)
        if (i < h && j + r < w) y[(j + r) * h + i] = tile[threadIdx.x][threadIdx.y + r];
}
