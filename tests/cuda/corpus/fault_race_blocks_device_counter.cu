//| grid=4, block=32
//| y=zeros(4)
//| fault race between blocks: next
__device__ int next;
__global__ void k(float* y) {
    if (threadIdx.x == 0) y[next++ % 4] = 1; // here
}
