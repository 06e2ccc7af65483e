//| fault never written: 488 of its 1000 elements
__global__ void fill(float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = i;
}
int main() {
    const int n = 1000;
    static float h[n];
    float* y;
    cudaMalloc(&y, sizeof h);
    fill<<<2, 256>>>(y, n);
    cudaMemcpy(h, y, sizeof h, cudaMemcpyDeviceToHost); // here
    cudaFree(y);
}
