// swish(x) = x s with s = 1 / (1 + exp(-x)). A thread for each element; those beyond the end rest.
template <typename T>
__global__ void swish(const T* x, T* y, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) y[i] = x[i] / (1 + exp(-x[i]));
}

// swish'(x) = s + x s (1 - s) = s (1 + x (1 - s))
template <typename T>
__global__ void swish_gradient(const T* dy, const T* x, T* dx, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) {
        const T s = 1 / (1 + exp(-x[i]));
        dx[i] = dy[i] * s * (1 + x[i] * (1 - s));
    }
}
