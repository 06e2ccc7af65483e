//| fault copy: on the host has only 100
#include <cstdlib>
int main() {
    float *h = (float*)malloc(100), *d;
    cudaMalloc(&d, 100 * sizeof(float));
    cudaMemset(d, 0, 100 * sizeof(float));
    cudaMemcpy(h, d, 100 * sizeof(float), cudaMemcpyDeviceToHost); // here
    cudaFree(d);
    free(h);
}
