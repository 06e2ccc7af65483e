//| fault leak: d \(400 bytes\) is never freed
__global__ void fill(float* x) { x[threadIdx.x] = 1; }
int main() {
    float* d;
    cudaMalloc(&d, 100 * sizeof(float)); // here
    fill<<<1, 100>>>(d);
    cudaDeviceSynchronize();
}
