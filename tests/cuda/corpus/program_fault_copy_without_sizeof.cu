//| fault uninitialised: x\[25\], which nobody has written
#include <vector>
__global__ void twice(float* x) {
    x[threadIdx.x] *= 2; // here
}
int main() {
    std::vector<float> h(100, 1);
    float* x;
    cudaMalloc(&x, h.size() * sizeof(float));
    cudaMemcpy(x, h.data(), h.size(), cudaMemcpyHostToDevice);
    twice<<<1, 100>>>(x);
    cudaMemcpy(h.data(), x, h.size() * sizeof(float), cudaMemcpyDeviceToHost);
    cudaFree(x);
}
