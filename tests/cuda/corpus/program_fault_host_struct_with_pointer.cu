//| fault host pointer: a pointer of the host
#include <cstdlib>
struct Vector { float* data; int n; };
__global__ void twice(Vector* v) {
    if (threadIdx.x < v->n) v->data[threadIdx.x] *= 2; // here
}
int main() {
    Vector v{(float*)calloc(32, sizeof(float)), 32}, *d;
    cudaMalloc(&d, sizeof v);
    cudaMemcpy(d, &v, sizeof v, cudaMemcpyHostToDevice);
    twice<<<1, 32>>>(d);
    cudaDeviceSynchronize();
    cudaFree(d);
    free(v.data);
}
