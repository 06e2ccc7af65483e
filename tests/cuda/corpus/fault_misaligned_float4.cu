//| grid=1, block=32
//| x=random(256), y=empty(32)
//| fault misaligned: no multiple of 16
__global__ void k(const float* x, float* y) {
    float4 v = *(const float4*)(x + 1 + threadIdx.x * 4); // here
    y[threadIdx.x] = v.x;
}
