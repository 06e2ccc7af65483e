// Forward, a thread owns an output: it looks through its window. Backward, a thread owns an input: it
// looks through the windows that may have chosen it. Nobody writes where another one does.
#include "minires.cuh"

template <typename T>
__global__ void __launch_bounds__(256) forward(const T* __restrict__ x, T* __restrict__ y,
                                               int* __restrict__ winner, long long size, int height,
                                               int width, int channels, int rows_out, int columns_out,
                                               int kernel_h, int kernel_w, int stride_h,
                                               int stride_w, int pad_h, int pad_w) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < size; e += step) {
        const int c = e % channels, q = e / channels % columns_out, p = e / channels / columns_out % rows_out;
        const T* image = x + e / channels / columns_out / rows_out * height * width * channels + c;
        T best = T(0);
        int position = -1;
        for (int i = 0; i < kernel_h; i++)
            for (int j = 0; j < kernel_w; j++) {
                const int h = p * stride_h + i - pad_h, w = q * stride_w + j - pad_w;
                if (h < 0 || h >= height || w < 0 || w >= width) continue;
                const T value = image[((long long)h * width + w) * channels];
                const bool first_nan = value != value && best == best;  // a NaN wins, the first one
                if (position < 0 || value > best || first_nan) best = value, position = i * kernel_w + j;
            }
        y[e] = best;
        winner[e] = position;
    }
}

template <typename T>
__global__ void __launch_bounds__(256) backward(const T* __restrict__ dy, const int* __restrict__ winner,
                                                T* __restrict__ dx, long long size, int height,
                                                int width, int channels, int rows_out, int columns_out,
                                                int kernel_h, int kernel_w, int stride_h,
                                                int stride_w, int pad_h, int pad_w) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < size; e += step) {
        const int c = e % channels, w = e / channels % width, h = e / channels / width % height;
        const long long first = e / channels / width / height * rows_out * columns_out;
        T sum = T(0);
        for (int i = 0; i < kernel_h; i++)
            for (int j = 0; j < kernel_w; j++) {
                const int top = h + pad_h - i, left = w + pad_w - j;
                if (top < 0 || left < 0 || top % stride_h != 0 || left % stride_w != 0) continue;
                const int p = top / stride_h, q = left / stride_w;
                if (p >= rows_out || q >= columns_out) continue;
                const long long output = (first + p * columns_out + q) * channels + c;
                if (winner[output] == i * kernel_w + j) sum += dy[output];
            }
        dx[e] = sum;
    }
}
