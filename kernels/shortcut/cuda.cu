// Each thread writes elements a whole grid apart, and knows where their numbers come from.
#include "minires.cuh"

template <typename T>
__global__ void __launch_bounds__(256) forward(const T* __restrict__ x, T* __restrict__ y,
                                               long long size, int height, int width, int channels,
                                               int rows, int columns, int wider, int stride) {
    const int low = (wider - channels) / 2;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < size; e += step) {
        const int c = e % wider - low, q = e / wider % columns, p = e / wider / columns % rows;
        const long long image = e / wider / columns / rows;
        const long long from = ((image * height + p * stride) * width + q * stride) * channels + c;
        y[e] = c >= 0 && c < channels ? x[from] : T(0);
    }
}

template <typename T>
__global__ void __launch_bounds__(256) backward(const T* __restrict__ dy, T* __restrict__ dx,
                                                long long size, int height, int width, int channels,
                                                int rows, int columns, int wider, int stride) {
    const int low = (wider - channels) / 2;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < size; e += step) {
        const int c = e % channels, w = e / channels % width, h = e / channels / width % height;
        const long long image = e / channels / width / height;
        const long long from = ((image * rows + h / stride) * columns + w / stride) * wider + c + low;
        dx[e] = h % stride == 0 && w % stride == 0 ? dy[from] : T(0);
    }
}
