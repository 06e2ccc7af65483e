//| grid=1, block=32
//| x=whole(10, 32), y=zeros(32, dtype="i4")
//| expect y=np.concatenate([x[x > 4], np.zeros((x <= 4).sum())])
__global__ void k(const int* x, int* y) {
    int v = x[threadIdx.x];
    unsigned mask = __ballot_sync(~0u, v > 4), before = (1u << threadIdx.x) - 1;
    if (v > 4) y[__popc(mask & before)] = v;
}
