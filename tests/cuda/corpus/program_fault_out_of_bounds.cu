//| fault out of bounds: reads x\[1000\], but x has 1000 elements
#include <vector>
__global__ void twice(float* x) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    x[i] *= 2; // here
}
int main() {
    std::vector<float> h(1000, 1);
    float* x;
    cudaMalloc(&x, 4000);
    cudaMemcpy(x, h.data(), 4000, cudaMemcpyHostToDevice);
    twice<<<4, 256>>>(x);
    cudaMemcpy(h.data(), x, 4000, cudaMemcpyDeviceToHost);
    cudaFree(x);
}
