// A warp has a row of logits: its lanes find the maximum and the sum together, by shuffles.
#include "minires.cuh"

// p (rows, classes) = softmax(z); losses (rows) = -sum over classes of t log p
template <typename T>
__global__ void __launch_bounds__(256) forward(const T* __restrict__ z, const long long* __restrict__ labels,
                                               T* __restrict__ p, T* __restrict__ losses, int rows,
                                               int classes, T smoothing) {
    const int row = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;  // whole warps only: rows do not share one
    const T* logits = z + (long long)row * classes;
    T largest = logits[0];
    for (int k = lane; k < classes; k += 32) largest = max(largest, logits[k]);
    for (int distance = 16; distance > 0; distance /= 2)
        largest = max(largest, __shfl_xor_sync(ALL_LANES, largest, distance));
    T total = T(0), sum = T(0);
    for (int k = lane; k < classes; k += 32) {
        total += exp(logits[k] - largest);
        sum += logits[k] - largest;
    }
    total = warp_sum(total);
    sum = warp_sum(sum);
    for (int k = lane; k < classes; k += 32)
        p[(long long)row * classes + k] = exp(logits[k] - largest) / total;
    if (lane == 0) {
        const T log_total = log(total);
        const T picked = logits[labels[row]] - largest - log_total;
        const T mean = sum / T(classes) - log_total;
        losses[row] = -(T(1) - smoothing) * picked;
        if (smoothing != T(0)) losses[row] -= smoothing * mean;  // the mean may be infinite
    }
}

// loss = the mean of the losses; one block, a fixed order
template <typename T>
__global__ void __launch_bounds__(256) mean(const T* __restrict__ losses, T* __restrict__ loss, int rows) {
    SHARED(double, sums, 256);
    double sum = 0;  // of up to millions of rows
    for (int row = threadIdx.x; row < rows; row += 256) sum += losses[row];
    sums[threadIdx.x] = sum;
    __syncthreads();  // all sums are there
    for (int half = 128; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] = sums[threadIdx.x] + sums[threadIdx.x + half];
        __syncthreads();  // this half is summed
    }
    if (threadIdx.x == 0) loss[0] = T(sums[0] / rows);
}

// dz = dloss (p - t) / rows
template <typename T>
__global__ void __launch_bounds__(256) backward(const T* __restrict__ dloss, const T* __restrict__ p,
                                                const long long* __restrict__ labels,
                                                T* __restrict__ dz, int rows, int classes, T smoothing) {
    const long long size = (long long)rows * classes, step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        T target = smoothing / T(classes);
        if (i % classes == labels[i / classes]) target += T(1) - smoothing;
        dz[i] = dloss[0] * (p[i] - target) / T(rows);
    }
}
