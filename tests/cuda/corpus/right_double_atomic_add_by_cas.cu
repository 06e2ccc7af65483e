//| grid=2, block=32
//| x=random(64), y=zeros(1, dtype="f8")
//| expect y=x.astype("f8").sum()
__device__ double add(double* address, double value) {
    unsigned long long int* bits = (unsigned long long int*)address;
    unsigned long long int old = *bits, assumed;
    do {
        assumed = old;
        old = atomicCAS(bits, assumed, __double_as_longlong(value + __longlong_as_double(assumed)));
    } while (assumed != old);
    return __longlong_as_double(old);
}
__global__ void k(const float* x, double* y) { add(y, x[blockIdx.x * blockDim.x + threadIdx.x]); }
