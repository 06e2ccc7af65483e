//| grid=1, block=256
//| x=random(256), y=empty(8, dtype="i4"), any=empty(8, dtype="i4")
//| expect y=(x > 0.5).reshape(8, 32).sum(1), any=(x > 0.98).reshape(8, 32).any(1) + 2 * (x < 0.98).reshape(8, 32).all(1)
__global__ void k(const float* x, int* y, int* any) {
    float v = x[threadIdx.x];
    unsigned int above = __ballot_sync(0xffffffffu, v > 0.5f);
    int one = __any_sync(0xffffffffu, v > 0.98f) != 0, all = __all_sync(0xffffffffu, v < 0.98f) != 0;
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = __popc(above), any[threadIdx.x / 32] = one + 2 * all;
}
