//| grid=1, block=32
//| x=whole(4, 32), y=empty(32, dtype="i4")
//| expect y=np.bincount(x)[x]
__global__ void k(const int* x, int* y) {
    unsigned same = __match_any_sync(0xffffffff, x[threadIdx.x]);
    y[threadIdx.x] = __popc(same);
}
