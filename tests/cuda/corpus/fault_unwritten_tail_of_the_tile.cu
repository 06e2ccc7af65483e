//| grid=1, block=64
//| x=random(50), y=empty(1), n=50
//| fault uninitialised: s\[
__global__ void k(const float* x, float* y, int n) {
    __shared__ float s[64];
    int t = threadIdx.x;
    if (t < n) s[t] = x[t];
    __syncthreads();
    for (int k = 32; k > 0; k /= 2) {
        if (t < k) s[t] += s[t + k]; // here
        __syncthreads();
    }
    if (t == 0) y[0] = s[0];
}
