#include <cstdio>
__global__ void twice(char* rows, size_t pitch, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < width && y < height) ((float*)(rows + y * pitch))[x] *= 2;
}
int main() {
    const int width = 30, height = 20;
    float h[height][width];
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) h[y][x] = y * width + x;
    float* d;
    size_t pitch;
    cudaMallocPitch(&d, &pitch, width * sizeof(float), height);
    cudaMemcpy2D(d, pitch, h, sizeof h[0], sizeof h[0], height, cudaMemcpyHostToDevice);
    twice<<<dim3(2, 2), dim3(16, 16)>>>((char*)d, pitch, width, height);
    cudaMemcpy2D(h, sizeof h[0], d, pitch, sizeof h[0], height, cudaMemcpyDeviceToHost);
    cudaFree(d);
    bool right = true;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) right &= h[y][x] == 2 * (y * width + x);
    std::puts(right ? "right" : "wrong");
}
