// Cooperative groups: the block, and tiles of a warp. Grids and coalesced groups are not there.
#pragma once

namespace cooperative_groups {

class thread_block {
  public:
    __forceinline__ void sync() const { __syncthreads(); }
    unsigned thread_rank() const { return emulator::me()->linear; }
    unsigned size() const { return emulator::this_core()->count; }
    unsigned num_threads() const { return size(); }
    dim3 group_index() const { return {blockIdx.x, blockIdx.y, blockIdx.z}; }
    dim3 thread_index() const { return {threadIdx.x, threadIdx.y, threadIdx.z}; }
    dim3 group_dim() const { return blockDim; }
    dim3 dim_threads() const { return blockDim; }
};
inline thread_block this_thread_block() { return {}; }

template <unsigned SIZE>
class thread_block_tile {
    static_assert(SIZE <= 32 && (SIZE & (SIZE - 1)) == 0, "a tile has 1, 2, 4, 8, 16 or 32 threads");

  public:
    unsigned thread_rank() const { return emulator::me()->lane % SIZE; }
    unsigned size() const { return SIZE; }
    unsigned num_threads() const { return SIZE; }
    unsigned meta_group_rank() const { return emulator::me()->linear / SIZE; }
    unsigned meta_group_size() const { return (emulator::this_core()->count + SIZE - 1) / SIZE; }
    __forceinline__ void sync() const { __syncwarp(mask()); }
    template <class T> __forceinline__ T shfl(T value, int rank) const {
        return __shfl_sync(mask(), value, rank, SIZE);
    }
    template <class T> __forceinline__ T shfl_down(T value, unsigned by) const {
        return __shfl_down_sync(mask(), value, by, SIZE);
    }
    template <class T> __forceinline__ T shfl_up(T value, unsigned by) const {
        return __shfl_up_sync(mask(), value, by, SIZE);
    }
    template <class T> __forceinline__ T shfl_xor(T value, unsigned by) const {
        return __shfl_xor_sync(mask(), value, by, SIZE);
    }
    __forceinline__ unsigned ballot(int yes) const { return __ballot_sync(mask(), yes) >> first(); }
    __forceinline__ int any(int yes) const { return __any_sync(mask(), yes); }
    __forceinline__ int all(int yes) const { return ballot(!yes) == 0; }
    unsigned mask() const { return (SIZE == 32 ? ~0u : (1u << SIZE % 32) - 1) << first(); }

  private:
    unsigned first() const { return emulator::me()->lane / SIZE * SIZE; }
};
template <unsigned SIZE, class Group>
thread_block_tile<SIZE> tiled_partition(const Group&) { return {}; }

template <class Group> __forceinline__ void sync(const Group& group) { group.sync(); }

template <class T> struct plus { T operator()(T a, T b) const { return a + b; } };
template <class T> struct less { T operator()(T a, T b) const { return b < a ? b : a; } };
template <class T> struct greater { T operator()(T a, T b) const { return a < b ? b : a; } };
template <unsigned SIZE, class T, class F>
T reduce(const thread_block_tile<SIZE>& tile, T value, F f) {
    for (unsigned by = SIZE / 2; by > 0; by /= 2) value = f(value, tile.shfl_xor(value, by));
    return value;
}

}  // namespace cooperative_groups
