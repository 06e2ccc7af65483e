//| grid=2, block=64
//| x=whole(16, 256), counts=zeros(16, dtype="i4"), n=256
//| expect counts=np.bincount(x, minlength=16)
__global__ void k(const int* x, int* counts, int n) {
    __shared__ int s[16];
    if (threadIdx.x < 16) s[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&s[x[i]], 1);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], s[threadIdx.x]);
}
