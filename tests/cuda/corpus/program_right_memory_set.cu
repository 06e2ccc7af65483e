#include <cstdio>
#include <cuda_runtime.h>
int main() {
    size_t free, total;
    cudaMemGetInfo(&free, &total);
    float* p = nullptr;
    cudaError_t error = cudaMalloc(&p, 16 * sizeof(float));
    if (error == cudaSuccess) cudaMemset(p, 0, 16 * sizeof(float));
    float h[16];
    cudaMemcpy(h, p, sizeof h, cudaMemcpyDeviceToHost);
    cudaFree(p);
    cudaDeviceReset();
    puts(free <= total && h[3] == 0 ? "right" : "wrong");
}
