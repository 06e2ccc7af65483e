//| grid=1, block=32
//| y=zeros(32)
//| fault out of bounds: nowhere
__global__ void k(float* y) {
    float* p = nullptr;
    if (y[0] > 1) p = y;
    p[threadIdx.x] = 1; // here
}
