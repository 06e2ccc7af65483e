//| grid=(2, 2), block=(16, 16)
//| x=random(32, 32), y=empty(30, 30), mask=np.arange(9, dtype="f4")
//| expect y=sum(mask[3 * i + j] * x[i : i + 30, j : j + 30] for i in range(3) for j in range(3))
__constant__ float mask[9];
__global__ void k(const float* x, float* y) {
    int c = blockIdx.x * blockDim.x + threadIdx.x, r = blockIdx.y * blockDim.y + threadIdx.y;
    if (c >= 30 || r >= 30) return;
    float sum = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) sum += mask[3 * i + j] * x[(r + i) * 32 + c + j];
    y[r * 30 + c] = sum;
}
