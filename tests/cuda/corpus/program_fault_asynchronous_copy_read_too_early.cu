//| fault no synchronisation: cudaMemcpyAsync may still write
#include <cstdio>
__global__ void fill(int* x) { x[threadIdx.x] = threadIdx.x; }
int main() {
    int *h, *d;
    cudaMallocHost(&h, 32 * sizeof(int));
    cudaMalloc(&d, 32 * sizeof(int));
    cudaStream_t stream;
    cudaStreamCreate(&stream);
    fill<<<1, 32, 0, stream>>>(d);
    cudaMemcpyAsync(h, d, 32 * sizeof(int), cudaMemcpyDeviceToHost, stream);
    printf("%d\n", h[3]); // here
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    cudaFree(d);
    cudaFreeHost(h);
}
