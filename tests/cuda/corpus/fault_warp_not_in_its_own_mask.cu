//| grid=1, block=32
//| y=zeros(32)
//| fault warp: not in the mask
__global__ void k(float* y) {
    y[threadIdx.x] = __popc(__ballot_sync(0x0000ffffu, 1)); // here
}
