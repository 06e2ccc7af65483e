//| grid=1, block=64
//| x=whole(8, 64), counts=empty(8, dtype="i4")
//| fault uninitialised: counts
__global__ void k(const int* x, int* counts) {
    atomicAdd(&counts[x[threadIdx.x]], 1); // here
}
