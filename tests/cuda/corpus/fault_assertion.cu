//| grid=1, block=64
//| x=random(64), y=empty(64)
//| fault assertion: assert
#include <cassert>
__global__ void k(const float* x, float* y) {
    assert(x[threadIdx.x] < 0.5f); // here
    y[threadIdx.x] = x[threadIdx.x];
}
