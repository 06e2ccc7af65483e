//| grid=2, block=64
//| x=random(128), y=zeros(1)
//| expect y=x.sum()
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
__global__ void k(const float* x, float* y) {
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> tile = cg::tiled_partition<32>(block);
    __shared__ float s[64];
    s[block.thread_rank()] = x[blockIdx.x * blockDim.x + threadIdx.x];
    block.sync();
    float sum = cg::reduce(tile, s[63 - block.thread_rank()], cg::plus<float>());
    if (tile.thread_rank() == 0) atomicAdd(y, sum);
}
