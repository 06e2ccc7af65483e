// Forward, a thread owns an output and sums its window. Backward, a thread owns an input and sums its
// share of all windows that hold it.
#include "minires.cuh"

template <typename T>
__global__ void __launch_bounds__(256) forward(const T* __restrict__ x, T* __restrict__ y,
                                               long long size, int height, int width, int channels,
                                               int rows_out, int columns_out, int kernel_h, int kernel_w,
                                               int stride_h, int stride_w, int pad_h, int pad_w) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < size; e += step) {
        const int c = e % channels, q = e / channels % columns_out, p = e / channels / columns_out % rows_out;
        const T* image = x + e / channels / columns_out / rows_out * height * width * channels + c;
        double sum = 0;  // windows may be large
        for (int i = 0; i < kernel_h; i++)
            for (int j = 0; j < kernel_w; j++) {
                const int h = p * stride_h + i - pad_h, w = q * stride_w + j - pad_w;
                if (h >= 0 && h < height && w >= 0 && w < width)
                    sum += image[((long long)h * width + w) * channels];
            }
        y[e] = T(sum / (kernel_h * kernel_w));
    }
}

template <typename T>
__global__ void __launch_bounds__(256) backward(const T* __restrict__ dy, T* __restrict__ dx,
                                                long long size, int height, int width, int channels,
                                                int rows_out, int columns_out, int kernel_h, int kernel_w,
                                                int stride_h, int stride_w, int pad_h, int pad_w) {
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
                if (p < rows_out && q < columns_out) sum += dy[(first + p * columns_out + q) * channels + c];
            }
        dx[e] = sum / T(kernel_h * kernel_w);
    }
}
