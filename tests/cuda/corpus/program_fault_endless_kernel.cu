//| fault endless loop: still runs
__global__ void k(volatile int* x) {
    while (*x != 1) {} // here
}
int main() {
    int* x;
    cudaMalloc(&x, sizeof(int));
    cudaMemset(x, 0, sizeof(int));
    k<<<1, 1>>>(x);
    cudaDeviceSynchronize();
    cudaFree(x);
}
