//| fault assertion: does not hold
#include <cassert>
__global__ void k(int n) {
    assert(threadIdx.x < n); // here
}
int main() {
    k<<<1, 32>>>(20);
    return cudaDeviceSynchronize() == cudaErrorAssert ? 0 : 1;
}
