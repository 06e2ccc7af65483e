//| grid=1, block=32
//| y=zeros(64), n=64
//| fault endless loop: still runs
__global__ void k(float* y, int n) {
    for (int i = threadIdx.x; i < n; i *= 2) if (i > 0) y[i] = i; // here
}
