//| grid=1, block=8, shared=80
//| y=empty(8, dtype="f8")
//| fault misaligned: no multiple of 8
extern __shared__ char memory[];
__global__ void k(double* y) {
    double* d = (double*)(memory + 4);
    d[threadIdx.x] = threadIdx.x; // here
    y[threadIdx.x] = d[threadIdx.x];
}
