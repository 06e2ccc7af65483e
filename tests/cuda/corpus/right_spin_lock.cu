//| grid=8, block=32
//| y=zeros(1), lock=zeros(1, dtype="i4")
//| expect y=8, lock=0
__global__ void k(volatile float* y, int* lock) {
    if (threadIdx.x == 0) {
        while (atomicCAS(lock, 0, 1) != 0) {}
        __threadfence();
        y[0] = y[0] + 1;
        __threadfence();
        atomicExch(lock, 0);
    }
}
