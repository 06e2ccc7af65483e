//| grid=1, block=32
//| x=random(64).astype("f2"), y=empty(64, dtype="f2")
//| expect y=x * x + x
#include <cuda_fp16.h>
__global__ void k(const half2* x, half2* y) {
    half2 v = x[threadIdx.x];
    y[threadIdx.x] = __hadd2(__hmul2(v, v), v);
}
