//| grid=1, block=256
//| x=whole(16, 256), counts=zeros(16, dtype="i4")
//| fault race: an atomic operation would
__global__ void k(const int* x, int* counts) {
    counts[x[threadIdx.x]]++; // here
}
