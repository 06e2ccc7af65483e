//| grid=1, block=32
//| x=np.full(32, 2**30, "i4"), y=empty(32, dtype="i4")
//| fault overflow: \+
__global__ void k(const int* x, int* y) {
    int sum = 0;
    for (int i = 0; i <= threadIdx.x; i++) sum += x[i]; // here
    y[threadIdx.x] = sum;
}
