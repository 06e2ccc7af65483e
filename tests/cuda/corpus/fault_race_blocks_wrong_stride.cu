//| grid=2, block=64
//| x=random(256), y=zeros(256), n=256
//| fault race between blocks: nothing orders blocks
__global__ void k(const float* x, float* y, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x)
        y[i] = y[i] + x[i]; // here
}
