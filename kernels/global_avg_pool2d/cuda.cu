// A thread has one channel of one image. Neighbouring threads have neighbouring channels, so each
// pixel's channels are read together.
#include "minires.cuh"

template <typename S, typename T>
__global__ void __launch_bounds__(256) forward(const S* __restrict__ x, T* __restrict__ y, int images,
                                               int pixels, int channels) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)images * channels) return;
    const S* first = x + (long long)(i / channels) * pixels * channels + i % channels;
    double sum = 0;  // of up to millions of pixels
    for (int pixel = 0; pixel < pixels; pixel++) sum += widen(first[(long long)pixel * channels]);
    y[i] = T(sum / pixels);
}

template <typename S, typename T>
__global__ void __launch_bounds__(256) backward(const T* __restrict__ dy, S* __restrict__ dx, int images,
                                                int pixels, int channels) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)images * channels) return;
    S* first = dx + (long long)(i / channels) * pixels * channels + i % channels;
    const S share = narrow<S>(dy[i] / T(pixels));
    for (int pixel = 0; pixel < pixels; pixel++) first[(long long)pixel * channels] = share;
}
