//| grid=1, block=32
//| x=random(32), y=empty(32)
//| expect y=x
#include <cassert>
__global__ void k(const float* x, float* y) {
    long long begin = clock64();
    assert(x[threadIdx.x] >= 0);
    y[threadIdx.x] = x[threadIdx.x];
    assert(clock64() >= begin);
}
