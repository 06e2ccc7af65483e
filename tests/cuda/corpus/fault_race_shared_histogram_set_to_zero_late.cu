//| grid=1, block=64
//| x=whole(16, 64), counts=zeros(16, dtype="i4")
//| fault race: s\[
__global__ void k(const int* x, int* counts) {
    __shared__ int s[16];
    if (threadIdx.x < 16) s[threadIdx.x] = 0;
    atomicAdd(&s[x[threadIdx.x]], 1); // here
    __syncthreads();
    if (threadIdx.x < 16) counts[threadIdx.x] = s[threadIdx.x];
}
