//| grid=1, block=64
//| y=random(66)
//| fault race: y\[
__global__ void k(float* y) {
    int i = threadIdx.x + 1;
    y[i] = (y[i - 1] + y[i + 1]) / 2; // here
}
