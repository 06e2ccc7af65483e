//| fault device pointer: the host reads d
#include <cstdio>
__global__ void fill(float* x) { x[threadIdx.x] = 1; }
int main() {
    float* d;
    cudaMalloc(&d, 32 * sizeof(float));
    fill<<<1, 32>>>(d);
    cudaDeviceSynchronize();
    printf("%g\n", d[0]); // here
    cudaFree(d);
}
