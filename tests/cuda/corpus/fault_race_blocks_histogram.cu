//| grid=64, block=32
//| x=whole(16, 64), counts=zeros(16, dtype="i4")
//| fault race between blocks: nothing orders blocks
__global__ void k(const int* x, int* counts) {
    if (threadIdx.x == 0) counts[x[blockIdx.x]] += 1; // here
}
