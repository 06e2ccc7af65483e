#include <cstdio>
#include <cuda_runtime.h>
extern __shared__ float buffer[];
__global__ void reverse(float* x, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) buffer[i] = x[i];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] = buffer[n - 1 - i];
}
int main() {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices < 1) return 1;
    cudaSetDevice(0);
    cudaDeviceProp properties;
    cudaGetDeviceProperties(&properties, 0);
    const int n = 16000, bytes = n * sizeof(float);
    if (properties.sharedMemPerBlockOptin < bytes || properties.warpSize != 32) return 2;
    int minimal, size;
    cudaOccupancyMaxPotentialBlockSize(&minimal, &size, reverse, bytes, 0);
    if (size % properties.warpSize) return 3;
    cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    float *h = new float[n], *d = nullptr;
    for (int i = 0; i < n; i++) h[i] = i;
    cudaMalloc(&d, bytes);
    cudaMemcpy(d, h, bytes, cudaMemcpyDefault);
    reverse<<<1, size < 256 ? size : 256, bytes>>>(d, n);
    cudaError_t error = cudaGetLastError();
    cudaMemcpy(h, d, bytes, cudaMemcpyDefault);
    bool right = error == cudaSuccess && h[0] == n - 1 && h[n - 1] == 0;
    cudaFree(d);
    delete[] h;
    puts(right ? "right" : cudaGetErrorName(error));
}
