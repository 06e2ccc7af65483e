//| fault use after free: x\[0\], which is freed
__global__ void copy(const float* from, float* to) { to[threadIdx.x] = from[threadIdx.x]; } // here
int main() {
    float *x, *y;
    cudaMalloc(&x, 32 * sizeof(float));
    cudaMalloc(&y, 32 * sizeof(float));
    cudaMemset(x, 0, 32 * sizeof(float));
    cudaFree(x);
    copy<<<1, 32>>>(x, y);
    cudaDeviceSynchronize();
    cudaFree(y);
}
