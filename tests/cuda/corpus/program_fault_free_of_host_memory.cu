//| fault double free: no allocation of CUDA
#include <cstdlib>
int main() {
    float *h = (float*)malloc(64), *d;
    cudaMalloc(&d, 64);
    cudaFree(d);
    cudaFree(h); // here
    free(h);
}
