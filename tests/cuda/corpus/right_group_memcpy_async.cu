//| grid=2, block=64
//| x=random(256), y=empty(128)
//| expect y=x.reshape(2, 2, 64).sum(1).reshape(-1)
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
namespace cg = cooperative_groups;
__global__ void k(const float* x, float* y) {
    __shared__ float s[128];
    cg::thread_block block = cg::this_thread_block();
    cg::memcpy_async(block, s, x + blockIdx.x * 128, sizeof(float) * 128);
    cg::wait(block);
    y[blockIdx.x * 64 + threadIdx.x] = s[threadIdx.x] + s[threadIdx.x + 64];
}
