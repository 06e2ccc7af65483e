//| fault no synchronisation: while a kernel may still run
#include <cstdio>
__global__ void fill(int* x) { x[threadIdx.x] = threadIdx.x; }
int main() {
    int* x;
    cudaMallocManaged(&x, 32 * sizeof(int));
    fill<<<1, 32>>>(x);
    printf("%d\n", x[3]); // here
    cudaDeviceSynchronize();
    cudaFree(x);
}
