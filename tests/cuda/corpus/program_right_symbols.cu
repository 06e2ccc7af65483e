#include <stdio.h>
#include <string.h>
__constant__ float weights[4];
__device__ int counter;
__managed__ int limit = 3;
__global__ void count(const float* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && x[i] * weights[i % 4] > limit) atomicAdd(&counter, 1);
}
int main() {
    float h[64], w[4] = {1, 2, 3, 4}, *d;
    for (int i = 0; i < 64; i++) h[i] = i % 3;
    int zero = 0, got = -1, expected = 0;
    for (int i = 0; i < 64; i++) expected += h[i] * w[i % 4] > 3;
    cudaMemcpyToSymbol(weights, w, sizeof(w));
    cudaMemcpyToSymbol(counter, &zero, sizeof(int));
    cudaMalloc((void**)&d, sizeof(h));
    cudaMemcpy(d, h, sizeof(h), cudaMemcpyHostToDevice);
    count<<<2, 32>>>(d, 64);
    cudaMemcpyFromSymbol(&got, counter, sizeof(int));
    cudaFree(d);
    printf("%s\n", got == expected ? "right" : "wrong");
    return 0;
}
