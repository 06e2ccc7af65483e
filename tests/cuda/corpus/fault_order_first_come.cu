//| grid=1, block=64
//| y=empty(64, dtype="i4"), next=zeros(1, dtype="i4")
//| fault order: depends on the order
__global__ void k(int* y, int* next) { y[threadIdx.x] = atomicAdd(next, 1); }
