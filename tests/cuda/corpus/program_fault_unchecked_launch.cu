//| fault unchecked error: invalid configuration argument
__global__ void fill(float* x) { x[threadIdx.x] = 1; }
int main() {
    float* d;
    cudaMalloc(&d, 2000 * sizeof(float));
    fill<<<1, 2000>>>(d); // here
    cudaDeviceSynchronize();
    cudaFree(d);
}
