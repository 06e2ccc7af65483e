//| fault leak: buffer
__global__ void fill(float* x) { x[threadIdx.x] = 1; }
int main() {
    float *buffer;
    for (int i = 0; i < 3; i++) {
        cudaMalloc((void**)&buffer, 32 * sizeof(float)); // here
        fill<<<1, 32>>>(buffer);
    }
    cudaFree(buffer);
}
