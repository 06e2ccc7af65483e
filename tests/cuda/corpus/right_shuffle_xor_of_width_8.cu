//| grid=1, block=32
//| x=random(32), y=empty(32)
//| expect y=np.repeat(x.reshape(4, 8).max(1), 8)
__global__ void k(const float* x, float* y) {
    float v = x[threadIdx.x];
    for (int m = 4; m; m >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffff, v, m, 8));
    y[threadIdx.x] = v;
}
