//| fault launch: cudaFuncSetAttribute
extern __shared__ float s[];
__global__ void fill(float* x) {
    s[threadIdx.x] = 1;
    x[threadIdx.x] = s[threadIdx.x];
}
int main() {
    float* d;
    cudaMalloc(&d, 32 * sizeof(float));
    fill<<<1, 32, 64 * 1024>>>(d); // here
    cudaDeviceSynchronize();
    cudaFree(d);
}
