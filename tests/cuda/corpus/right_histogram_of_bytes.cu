//| grid=2, block=32
//| x=np.arange(200, dtype="u1") % 7, counts=zeros(7, dtype="u4"), n=200
//| expect counts=np.bincount(x, minlength=7)
__global__ void k(const unsigned char* x, unsigned int* counts, int n) {
    int i = threadIdx.x + blockIdx.x * blockDim.x, stride = blockDim.x * gridDim.x;
    while (i < n) {
        atomicAdd(&counts[x[i]], 1);
        i += stride;
    }
}
