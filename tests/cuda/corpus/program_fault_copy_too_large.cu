//| fault copy: moves 512 bytes, but d has only 128
int main() {
    float h[128] = {}, *d;
    cudaMalloc(&d, 32 * sizeof(float));
    cudaMemcpy(d, h, sizeof h, cudaMemcpyHostToDevice); // here
    cudaFree(d);
}
