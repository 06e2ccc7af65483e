// Looks through all gradients in one launch, by a table; the block that finishes last sets
// the scale. 4 bytes read per element.
#include "minires.cuh"

constexpr int CHUNK = 1024;  // elements of a block, as in kernels/tables.py
enum { SCALE, INVERSE, FOUND, GOOD };

// counts: how many warps have found something, how many blocks have finished; zero before and after.
__global__ void __launch_bounds__(256) update(const unsigned long long* __restrict__ addresses,
                                              const long long* __restrict__ sizes,
                                              const int* __restrict__ owners,
                                              const long long* __restrict__ starts, unsigned* counts,
                                              float* __restrict__ state, float growth, float backoff,
                                              int interval) {
    const int owner = owners[blockIdx.x];
    const float* gradient = reinterpret_cast<const float*>(addresses[owner]);
    const long long stop = min(starts[blockIdx.x] + CHUNK, sizes[owner]);
    bool bad = false;
    for (long long i = starts[blockIdx.x] + threadIdx.x; i < stop; i += blockDim.x)
        bad = bad || !(gradient[i] - gradient[i] == 0.0f);  // infinite or NaN
    if (__any_sync(ALL_LANES, bad) && threadIdx.x % 32 == 0) atomicAdd(&counts[0], 1u);
    __threadfence();  // what was found is to be seen before this block counts as finished
    __syncthreads();  // all warps have said what they found
    if (threadIdx.x != 0 || atomicAdd(&counts[1], 1u) != gridDim.x - 1) return;
    __threadfence();
    const bool found = load_fresh(&counts[0]) > 0;
    const float scale = state[SCALE], good = state[GOOD] + 1;
    const bool finite = scale * growth - scale * growth == 0.0f;
    const bool raised = !found && good >= interval && finite;
    state[INVERSE] = 1 / scale;
    state[FOUND] = found;
    state[SCALE] = found ? scale * backoff : raised ? scale * growth : scale;
    state[GOOD] = found || raised ? 0 : good;
    counts[0] = 0, counts[1] = 0;
}
