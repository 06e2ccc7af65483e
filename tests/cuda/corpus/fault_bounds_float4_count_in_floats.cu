//| grid=2, block=32
//| x=random(128), y=empty(128), n=128
//| fault out of bounds: [xy]\[
__global__ void k(const float4* x, float4* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i]; // here
}
