//| fault double free: already freed
int main() {
    float *a, *b;
    cudaMalloc(&a, 64);
    cudaMalloc(&b, 64);
    b = a;
    cudaFree(a);
    cudaFree(b); // here
}
