#include <cstdio>
#include <utility>
#include <vector>
namespace heat {
__global__ void step(const float* now, float* next, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i == 0 || i == n - 1) next[i] = now[i];
    else if (i < n) next[i] = 0.5f * now[i] + 0.25f * (now[i - 1] + now[i + 1]);
}
}  // namespace heat
template <typename T> struct DeviceArray {
    T* data = nullptr;
    explicit DeviceArray(const std::vector<T>& from) {
        cudaMalloc(&data, from.size() * sizeof(T));
        cudaMemcpy(data, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice);
    }
    ~DeviceArray() { cudaFree(data); }
};
int main() {
    const int n = 100;
    std::vector<float> h(n), r(n);
    h[50] = 1024;
    {
        DeviceArray<float> a(h), b(h);
        float *now = a.data, *next = b.data;
        for (int s = 0; s < 5; s++) {
            heat::step<<<(n + 31) / 32, 32>>>(now, next, n);
            std::swap(now, next);
        }
        cudaMemcpy(r.data(), now, n * sizeof(float), cudaMemcpyDeviceToHost);
    }
    std::puts(r[50] == 252 && r[45] == 1 && r[44] == 0 ? "right" : "wrong");
}
