//| grid=1, block=32
//| x=random(32), y=empty(32), n=8
//| fault out of bounds: index 8
__global__ void k(const float* x, float* y, int n) {
    float v[8];
    for (int i = 0; i <= n; i++) v[i] = x[(threadIdx.x + i) % 32]; // here
    y[threadIdx.x] = v[n - 1];
}
