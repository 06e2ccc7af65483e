//| grid=(1, 1), block=(8, 8)
//| a=random(32, 8), b=random(8, 32), c=empty(32, 32)
//| expect c=a @ b
__global__ void __launch_bounds__(64) k(const float* a, const float* b, float* c) {
    float sums[4][4] = {};
    for (int p = 0; p < 8; p++) {
        float left[4], right[4];
        for (int i = 0; i < 4; i++) left[i] = a[(threadIdx.y * 4 + i) * 8 + p];
        for (int j = 0; j < 4; j++) right[j] = b[p * 32 + threadIdx.x * 4 + j];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) sums[i][j] += left[i] * right[j];
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) c[(threadIdx.y * 4 + i) * 32 + threadIdx.x * 4 + j] = sums[i][j];
}
