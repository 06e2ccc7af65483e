//| grid=1, block=64
//| x=whole(17, 64), bins=zeros(16, dtype="i4")
//| fault out of bounds: bins\[16\]
__global__ void k(const int* x, int* bins) {
    atomicAdd(&bins[x[threadIdx.x]], 1); // here
}
