//| fault host pointer: a pointer of the host
#include <vector>
__global__ void twice(float* x) {
    x[threadIdx.x] *= 2; // here
}
int main() {
    std::vector<float> h(32, 1.0f);
    twice<<<1, 32>>>(h.data());
    cudaDeviceSynchronize();
}
