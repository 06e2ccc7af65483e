//| grid=1, block=32
//| x=whole(1000, 32), y=empty(32, dtype="i4")
//| expect y=[int(v).bit_length() + bin(v).count("1") + (int(v) * 2**20 >> 32) for v in x]
__global__ void k(const int* x, int* y) {
    int v = x[threadIdx.x];
    y[threadIdx.x] = 32 - __clz(v) + __popc(v) + __mulhi(v, 1 << 20);
}
