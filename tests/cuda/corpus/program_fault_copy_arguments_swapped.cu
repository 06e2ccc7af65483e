//| fault copy: is to be memory of the
int main() {
    float h[32] = {}, *d;
    cudaMalloc(&d, sizeof h);
    cudaMemcpy(h, d, sizeof h, cudaMemcpyHostToDevice); // here
    cudaFree(d);
}
