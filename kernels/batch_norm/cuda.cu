// Batch normalisation with residual and ReLU fused: forward reads x twice, backward dy and x twice.
//
// Sums over all rows go in two stages, in a fixed order: each block sums its part of the rows, then
// one thread per channel adds the parts in double precision. A block has `width` channels (16 or 32,
// blockDim.x) and 256 / width rows at a time (blockDim.y): neighbouring threads read neighbouring
// numbers.
#include "minires.cuh"

constexpr int THREADS = 256;

// First row of a part and the row after its last.
__device__ __forceinline__ void part_of(int rows, int& begin, int& end) {
    begin = (long long)rows * blockIdx.x / gridDim.x;
    end = (long long)rows * (blockIdx.x + 1) / gridDim.x;
}

// The sum over the block's threads of one channel, in the threads with threadIdx.y = 0, zero in the
// others. The tree has the same shape every time. `scratch` (256) is free again.
template <typename T, typename Scratch>
__device__ __forceinline__ T sum_over_rows(T value, Scratch scratch) {
    const int place = threadIdx.y * blockDim.x + threadIdx.x;
    scratch[place] = value;
    __syncthreads();  // all values are there
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        if (threadIdx.y < half) scratch[place] = scratch[place] + scratch[place + half * blockDim.x];
        __syncthreads();  // this half is summed
    }
    return threadIdx.y == 0 ? scratch[threadIdx.x] : T(0);  // its own place: no barrier needed
}

// Mean and sum of squared deviations of every channel over the part's rows. Sums are of differences
// from the part's first row, which costs nothing and keeps large means from cancelling.
template <typename T>
__global__ void __launch_bounds__(256) part_statistics(const T* __restrict__ x, T* __restrict__ means,
                                                       T* __restrict__ squares, int rows, int channels) {
    SHARED(T, scratch, THREADS);
    const int channel = blockIdx.y * blockDim.x + threadIdx.x;
    int begin, end;
    part_of(rows, begin, end);
    const bool inside = channel < channels;
    T first = inside ? x[(long long)begin * channels + channel] : T(0);
    if (!(first - first == T(0))) first = T(0);  // an infinity would make every difference NaN
    T sum = T(0), square = T(0);
    if (inside)
        for (int row = begin + threadIdx.y; row < end; row += blockDim.y) {
            const T difference = x[(long long)row * channels + channel] - first;
            sum += difference;
            square += difference * difference;
        }
    sum = sum_over_rows(sum, scratch);
    square = sum_over_rows(square, scratch);
    if (threadIdx.y == 0 && inside) {
        const T mean = sum / T(end - begin);
        means[blockIdx.x * channels + channel] = first + mean;
        squares[blockIdx.x * channels + channel] = max(square - sum * mean, T(0));
    }
}

// The parts merged (Chan, Golub and LeVeque 1983, eq. 1.5), the running statistics brought forward.
template <typename T, typename R>
__global__ void finish_statistics(const T* __restrict__ means, const T* __restrict__ squares,
                                  T* __restrict__ mean_out, T* __restrict__ inv_std,
                                  R* __restrict__ running_mean, R* __restrict__ running_var, int parts,
                                  int rows, int channels, double momentum, double eps) {
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= channels) return;
    double mean = 0, square = 0;
    for (int part = 0; part < parts; part++) {
        const long long begin = (long long)rows * part / parts, end = (long long)rows * (part + 1) / parts;
        const double share = double(end - begin) / double(end);
        const double difference = double(means[part * channels + channel]) - mean;
        mean += difference * share;
        square += double(squares[part * channels + channel]) +
                  difference * difference * double(begin) * share;
    }
    const double var = square / rows;
    mean_out[channel] = T(mean);
    inv_std[channel] = T(1 / sqrt(var + eps));
    const double old_mean = running_mean[channel], old_var = running_var[channel];
    running_mean[channel] = R(old_mean + momentum * (mean - old_mean));
    running_var[channel] = R(old_var + momentum * (square / (rows - 1) - old_var));
}

template <typename T, typename R>
__global__ void use_running_statistics(const R* __restrict__ running_mean,
                                       const R* __restrict__ running_var, T* __restrict__ mean,
                                       T* __restrict__ inv_std, int channels, double eps) {
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= channels) return;
    mean[channel] = T(running_mean[channel]);
    inv_std[channel] = T(1 / sqrt(double(running_var[channel]) + eps));
}

// y = max((x - mean) gamma inv_std + beta + residual, 0)
template <typename T>
__global__ void __launch_bounds__(256) normalize(
    const T* __restrict__ x, const T* __restrict__ mean, const T* __restrict__ inv_std,
    const T* __restrict__ gamma, const T* __restrict__ beta,
    OPTIONAL const T* __restrict__ residual, T* __restrict__ y, long long size, int channels,
    bool relu) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const int c = i % channels;
        T u = (x[i] - mean[c]) * (gamma[c] * inv_std[c]) + beta[c];
        if (residual) u += residual[i];
        y[i] = relu && u < T(0) ? T(0) : u;
    }
}

// The part's sums of du and of du (x - mean), (2, parts, C). du is dy where the ReLU let it through: y
// tells, or without a residual x, from which y can be computed again. With y also writes du.
template <typename T>
__global__ void __launch_bounds__(256) part_sums(
    const T* __restrict__ dy, const T* __restrict__ x, OPTIONAL const T* __restrict__ y,
    const T* __restrict__ mean, const T* __restrict__ inv_std, const T* __restrict__ gamma,
    const T* __restrict__ beta, OPTIONAL T* __restrict__ du, T* __restrict__ sums, int rows,
    int channels, bool relu) {
    SHARED(T, scratch, THREADS);
    const int channel = blockIdx.y * blockDim.x + threadIdx.x;
    int begin, end;
    part_of(rows, begin, end);
    T sum = T(0), product = T(0);
    if (channel < channels) {
        const T m = mean[channel], scale = gamma[channel] * inv_std[channel], b = beta[channel];
        for (int row = begin + threadIdx.y; row < end; row += blockDim.y) {
            const long long i = (long long)row * channels + channel;
            const T centred = x[i] - m, u = y ? y[i] : centred * scale + b;
            const T gradient = relu && u <= T(0) ? T(0) : dy[i];
            if (du) du[i] = gradient;
            sum += gradient;
            product += gradient * centred;
        }
    }
    sum = sum_over_rows(sum, scratch);
    product = sum_over_rows(product, scratch);
    if (threadIdx.y == 0 && channel < channels) {
        sums[blockIdx.x * channels + channel] = sum;
        sums[(gridDim.x + blockIdx.x) * channels + channel] = product;
    }
}

// dbeta, dgamma, and what dx = gamma inv_std du + of_x (x - mean) + constant needs.
template <typename T>
__global__ void finish_sums(const T* __restrict__ sums, const T* __restrict__ gamma,
                            const T* __restrict__ inv_std, T* __restrict__ dgamma,
                            T* __restrict__ dbeta, T* __restrict__ of_x, T* __restrict__ constant,
                            int parts, int rows, int channels) {
    const int channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= channels) return;
    double sum = 0, product = 0;
    for (int part = 0; part < parts; part++) {
        sum += double(sums[part * channels + channel]);
        product += double(sums[(parts + part) * channels + channel]);
    }
    const double std = double(inv_std[channel]), scale = double(gamma[channel]) * std;
    dbeta[channel] = T(sum);
    dgamma[channel] = T(product * std);
    of_x[channel] = T(-scale * std * std * product / rows);
    constant[channel] = T(-scale * sum / rows);
}

template <typename T>
__global__ void __launch_bounds__(256) input_gradient(
    const T* __restrict__ dy, const T* __restrict__ x, const T* __restrict__ mean,
    const T* __restrict__ inv_std, const T* __restrict__ gamma, const T* __restrict__ beta,
    const T* __restrict__ of_x, const T* __restrict__ constant, T* __restrict__ dx, long long size,
    int channels, bool training, bool masked) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {
        const int c = i % channels;
        const T scale = gamma[c] * inv_std[c], centred = x[i] - mean[c];
        const T du = masked && centred * scale + beta[c] <= T(0) ? T(0) : dy[i];
        dx[i] = scale * du + (training ? of_x[c] * centred + constant[c] : T(0));
    }
}
