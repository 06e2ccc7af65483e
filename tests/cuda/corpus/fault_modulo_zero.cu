//| grid=1, block=32
//| y=empty(32, dtype="i4"), n=0
//| fault division: divides an integer by zero
__global__ void k(int* y, int n) {
    y[threadIdx.x] = (int)threadIdx.x % n; // here
}
