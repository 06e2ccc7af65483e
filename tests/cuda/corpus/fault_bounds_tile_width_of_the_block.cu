//| grid=1, block=(16, 16)
//| x=random(16, 16), y=empty(16, 16)
//| fault out of bounds: tile
__global__ void k(const float* x, float* y) {
    __shared__ float tile[8][8];
    tile[threadIdx.y][threadIdx.x] = x[threadIdx.y * 16 + threadIdx.x]; // here
    __syncthreads();
    y[threadIdx.y * 16 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}
