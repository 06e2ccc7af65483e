//| grid=1, block=64
//| x=random(64), y=empty(64)
//| expect y=np.exp(x) + np.sin(x) + 1 / np.sqrt(x + 1)
__global__ void k(const float* x, float* y) {
    float v = __ldg(&x[threadIdx.x]);
    y[threadIdx.x] = __expf(v) + __sinf(v) + rsqrtf(v + 1);
}
