#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>

#define CHECK(call)                                                             \
    do {                                                                        \
        cudaError_t error = (call);                                             \
        if (error != cudaSuccess) {                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(error)); \
            exit(EXIT_FAILURE);                                                 \
        }                                                                       \
    } while (0)

__global__ void saxpy(float a, const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

int main(int argc, char** argv) {
    int n = argc > 1 ? atoi(argv[1]) : 1000;
    size_t bytes = n * sizeof(float);
    float *h_x = (float*)malloc(bytes), *h_y = (float*)malloc(bytes);
    for (int i = 0; i < n; i++) h_x[i] = i, h_y[i] = 1;
    float *d_x, *d_y;
    CHECK(cudaMalloc((void**)&d_x, bytes));
    CHECK(cudaMalloc(&d_y, bytes));
    CHECK(cudaMemcpy(d_x, h_x, bytes, cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(d_y, h_y, bytes, cudaMemcpyHostToDevice));
    saxpy<<<(n + 255) / 256, 256>>>(2, d_x, d_y, n);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(h_y, d_y, bytes, cudaMemcpyDeviceToHost));
    bool right = true;
    for (int i = 0; i < n; i++) right &= h_y[i] == 2 * i + 1;
    puts(right ? "right" : "wrong");
    CHECK(cudaFree(d_x));
    CHECK(cudaFree(d_y));
    free(h_x), free(h_y);
}
