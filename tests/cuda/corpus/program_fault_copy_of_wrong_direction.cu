//| fault copy: the destination of cudaMemcpy
int main() {
    float h[32] = {}, *d;
    cudaMalloc(&d, sizeof h);
    cudaMemcpy(d, h, sizeof h, cudaMemcpyHostToDevice);
    cudaMemcpy(h, d, sizeof h, cudaMemcpyHostToDevice); // here
    cudaFree(d);
}
