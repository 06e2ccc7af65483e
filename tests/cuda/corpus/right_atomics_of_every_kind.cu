//| grid=2, block=64
//| x=whole(1000, 128), y=np.array([0, 0, 100000, 0, -1, 0, 0, 0, 127], dtype="i4")
//| expect y=[x.sum(), -x.sum(), x.min(), x.max(), np.bitwise_and.reduce(x), np.bitwise_or.reduce(x), np.bitwise_xor.reduce(x), 128 % 6, 127]
__global__ void k(const int* x, int* y) {
    int v = x[blockIdx.x * blockDim.x + threadIdx.x];
    atomicAdd(&y[0], v);
    atomicSub(&y[1], v);
    atomicMin(&y[2], v);
    atomicMax(&y[3], v);
    atomicAnd(&y[4], v);
    atomicOr(&y[5], v);
    atomicXor(&y[6], v);
    atomicInc((unsigned*)&y[7], 5u);
    atomicDec((unsigned*)&y[8], 127u);
}
