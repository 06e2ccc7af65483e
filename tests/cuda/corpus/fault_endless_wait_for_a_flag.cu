//| grid=1, block=64
//| flag=zeros(1, dtype="i4"), y=zeros(64)
//| fault endless loop: still runs
__global__ void k(volatile int* flag, float* y) {
    while (flag[0] == 0) {} // here
    y[threadIdx.x] = 1;
}
