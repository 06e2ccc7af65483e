//| grid=2, block=32
//| x=random(250), y=empty(250), n=250
//| expect y=2 * x
__global__ void k(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int j = i; j < n / 4; j += blockDim.x * gridDim.x) {
        float4 v = reinterpret_cast<const float4*>(x)[j];
        v.x *= 2, v.y *= 2, v.z *= 2, v.w *= 2;
        reinterpret_cast<float4*>(y)[j] = v;
    }
    int rest = n / 4 * 4 + i;
    if (rest < n) y[rest] = 2 * x[rest];
}
