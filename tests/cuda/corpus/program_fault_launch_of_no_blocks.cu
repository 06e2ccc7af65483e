//| fault launch: the grid is \(0,1,1\)
#include <cstdio>
__global__ void fill(float* x, int n) { if (threadIdx.x < n) x[threadIdx.x] = 1; }
int main() {
    float* d;
    int n = 100;
    cudaMalloc(&d, n * sizeof(float));
    fill<<<n / 256, 256>>>(d, n); // here
    printf("%s\n", cudaGetErrorString(cudaGetLastError()));
    cudaFree(d);
}
