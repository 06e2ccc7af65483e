//| fault barrier: reached by 100 of the block's 128
__global__ void k(float* x, int n) {
    if (threadIdx.x >= n) return;
    x[threadIdx.x] = 1;
    __syncthreads(); // here
}
int main() {
    float* x;
    cudaMalloc(&x, 512);
    k<<<1, 128>>>(x, 100);
    cudaDeviceSynchronize();
    cudaFree(x);
}
