//| grid=1, block=64
//| y=zeros(64), rows=4096
//| fault overflow: overflows its integer
__global__ void k(float* y, int rows) {
    int i = (int)threadIdx.x * rows * 65536; // here
    if (i == 0) y[threadIdx.x] = 1;
}
