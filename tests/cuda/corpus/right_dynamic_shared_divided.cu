//| grid=1, block=32, shared=384
//| x=random(32), y=empty(32), n=32
//| expect y=x * x[::-1] + np.arange(32)
__global__ void k(const float* x, float* y, int n) {
    extern __shared__ char memory[];
    double* a = (double*)memory;
    float* b = (float*)(a + 32);
    a[threadIdx.x] = x[threadIdx.x];
    b[threadIdx.x] = threadIdx.x;
    __syncthreads();
    y[threadIdx.x] = float(a[threadIdx.x] * a[n - 1 - threadIdx.x]) + b[threadIdx.x];
}
