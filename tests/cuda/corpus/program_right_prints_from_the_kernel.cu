#include <cstdio>
__global__ void hello() {
    if (threadIdx.x == 1) printf("block %d\n", blockIdx.x);
}
int main() {
    hello<<<2, 2>>>();
    cudaDeviceSynchronize();
    printf("right\n");
    return 0;
}
