//| grid=1, block=32
//| x=random(256), y=empty(32)
//| expect y=np.median(x.reshape(32, 8)[:, :7], axis=1)
__global__ void k(const float* x, float* y) {
    float v[7];
    for (int i = 0; i < 7; i++) v[i] = x[threadIdx.x * 8 + i];
    for (int i = 1; i < 7; i++)
        for (int j = i; j > 0 && v[j - 1] > v[j]; j--) {
            float other = v[j];
            v[j] = v[j - 1], v[j - 1] = other;
        }
    y[threadIdx.x] = v[3];
}
