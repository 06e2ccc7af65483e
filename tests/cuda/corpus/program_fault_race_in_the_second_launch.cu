//| fault race between blocks: total
__global__ void clear(float* total) { *total = 0; }
__global__ void add(float* total) {
    if (threadIdx.x == 0) *total += 1; // here
}
int main() {
    float* total;
    cudaMalloc(&total, sizeof(float));
    clear<<<1, 1>>>(total);
    add<<<8, 32>>>(total);
    cudaDeviceSynchronize();
    cudaFree(total);
}
