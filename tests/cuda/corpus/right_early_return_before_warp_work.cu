//| grid=1, block=64
//| x=random(40), y=zeros(40), n=40
//| expect y=x + 1
__global__ void k(const float* x, float* y, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    y[i] = x[i] + 1;
}
