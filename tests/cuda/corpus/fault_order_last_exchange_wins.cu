//| grid=4, block=32
//| y=zeros(1, dtype="i4")
//| fault order: depends on the order
__global__ void k(int* y) {
    if (threadIdx.x == 0) atomicExch(y, (int)blockIdx.x + 1);
}
