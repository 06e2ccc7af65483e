//| grid=(2, 2, 2), block=(4, 4, 4)
//| x=random(8, 8, 8), y=empty(8, 8, 8)
//| expect y=x.transpose(2, 1, 0)
__global__ void k(const float* __restrict__ x, float* __restrict__ y) {
    int i = blockIdx.x * 4 + threadIdx.x, j = blockIdx.y * 4 + threadIdx.y, l = blockIdx.z * 4 + threadIdx.z;
    y[(i * 8 + j) * 8 + l] = x[(l * 8 + j) * 8 + i];
}
