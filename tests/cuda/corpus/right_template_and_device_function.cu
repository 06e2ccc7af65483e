//| grid=1, block=256
//| x=random(256), y=empty(256)
//| expect y=x * x
template <typename T> __device__ __forceinline__ T square(T v) { return v * v; }
__global__ void k(const float* x, float* y) { y[threadIdx.x] = square(x[threadIdx.x]); }
