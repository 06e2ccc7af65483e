//| fault use after free: d, which is freed|is d, which is freed
int main() {
    float h[8] = {}, *d;
    cudaMalloc(&d, sizeof h);
    cudaMemcpy(d, h, sizeof h, cudaMemcpyHostToDevice);
    cudaFree(d);
    cudaMemcpy(h, d, sizeof h, cudaMemcpyDeviceToHost); // here
}
