//| grid=1, block=64
//| y=random(64)
//| expect y=np.sort(y)
__global__ void k(float* y) {
    __shared__ float s[64];
    int t = threadIdx.x;
    s[t] = y[t];
    __syncthreads();
    for (int k = 2; k <= 64; k *= 2)
        for (int j = k / 2; j > 0; j /= 2) {
            int other = t ^ j;
            if (other > t && ((t & k) == 0) == (s[t] > s[other])) {
                float v = s[t];
                s[t] = s[other], s[other] = v;
            }
            __syncthreads();
        }
    y[t] = s[t];
}
