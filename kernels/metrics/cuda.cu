// One block, so that the sums need no atomics. A warp finds the largest logit of a row by shuffles; it
// has the rows w, w + WARPS, w + 2 WARPS ... of its number w.
#include "minires.cuh"

constexpr int WARPS = 32;

// Whether logit a of class i comes before b of class j: a NaN before numbers, the larger before the
// smaller, of equals the first class.
template <typename T>
__device__ __forceinline__ bool precedes(T a, int i, T b, int j) {
    const bool a_is_nan = a != a, b_is_nan = b != b;
    if (a_is_nan != b_is_nan) return a_is_nan;
    return a > b || (!(a < b) && i < j);
}

template <typename T>
__global__ void __launch_bounds__(1024) accumulate(const T* __restrict__ loss,
                                                   const T* __restrict__ logits,
                                                   const long long* __restrict__ labels,
                                                   double* __restrict__ loss_sum,
                                                   long long* __restrict__ correct, int rows,
                                                   int classes) {
    SHARED(int, found, WARPS);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int right = 0;
    for (int row = warp; row < rows; row += WARPS) {
        const T* z = logits + (long long)row * classes;
        int best = min(lane, classes - 1);  // lanes without a class have the last one, too
        T largest = z[best];
        for (int k = lane + 32; k < classes; k += 32)
            if (precedes(z[k], k, largest, best)) largest = z[k], best = k;
        for (int distance = 16; distance > 0; distance /= 2) {
            const T other = __shfl_xor_sync(ALL_LANES, largest, distance);
            const int of_other = __shfl_xor_sync(ALL_LANES, best, distance);
            if (precedes(other, of_other, largest, best)) largest = other, best = of_other;
        }
        right += best == labels[row];
    }
    if (lane == 0) found[warp] = right;
    __syncthreads();  // the counts of all warps are there
    if (threadIdx.x > 0) return;
    int total = 0;
    for (int w = 0; w < WARPS; w++) total += found[w];
    correct[0] += total;
    loss_sum[0] += double(loss[0]) * rows;
}
