//| fault device pointer: the host writes d
#include <cstring>
int main() {
    float* d;
    cudaMalloc(&d, 4096);
    memset(d, 0, 4096); // here
    cudaFree(d);
}
