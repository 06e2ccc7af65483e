//| grid=4, block=64
//| x=random(256), y=zeros(1)
//| expect y=x.max()
__device__ float atomic_max(float* place, float value) {
    int* bits = (int*)place;
    int old = *bits, assumed;
    do {
        assumed = old;
        old = atomicCAS(bits, assumed, __float_as_int(fmaxf(value, __int_as_float(assumed))));
    } while (assumed != old);
    return __int_as_float(old);
}
__global__ void k(const float* x, float* y) { atomic_max(y, x[blockIdx.x * blockDim.x + threadIdx.x]); }
