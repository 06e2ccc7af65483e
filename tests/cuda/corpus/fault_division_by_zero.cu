//| grid=1, block=64
//| x=whole(16, 64), y=empty(64, dtype="i4")
//| fault division: divides an integer by zero
__global__ void k(const int* x, int* y) {
    y[threadIdx.x] = 100 / x[threadIdx.x]; // here
}
