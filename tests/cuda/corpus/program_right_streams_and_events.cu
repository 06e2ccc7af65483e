#include <cstdio>
#include <cuda_runtime.h>
__global__ void square(float* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= x[i];
}
int main() {
    const int n = 4096, parts = 4, part = n / parts;
    float *h, *d;
    cudaMallocHost((void**)&h, n * sizeof(float));
    cudaMalloc((void**)&d, n * sizeof(float));
    for (int i = 0; i < n; i++) h[i] = i % 100;
    cudaStream_t streams[parts];
    cudaEvent_t begin, end;
    cudaEventCreate(&begin);
    cudaEventCreate(&end);
    for (auto& stream : streams) cudaStreamCreate(&stream);
    cudaEventRecord(begin);
    for (int p = 0; p < parts; p++) {
        float *from = h + p * part, *to = d + p * part;
        cudaMemcpyAsync(to, from, part * sizeof(float), cudaMemcpyHostToDevice, streams[p]);
        square<<<part / 128, 128, 0, streams[p]>>>(to, part);
        cudaMemcpyAsync(from, to, part * sizeof(float), cudaMemcpyDeviceToHost, streams[p]);
    }
    cudaEventRecord(end);
    cudaEventSynchronize(end);
    float ms = -1;
    cudaEventElapsedTime(&ms, begin, end);
    for (auto& stream : streams) cudaStreamSynchronize(stream), cudaStreamDestroy(stream);
    bool right = ms >= 0;
    for (int i = 0; i < n; i++) right &= h[i] == float(i % 100) * float(i % 100);
    cudaEventDestroy(begin), cudaEventDestroy(end);
    cudaFree(d), cudaFreeHost(h);
    puts(right ? "right" : "wrong");
}
