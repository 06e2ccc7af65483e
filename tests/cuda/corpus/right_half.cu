//| grid=1, block=64
//| x=random(64).astype("f2"), y=empty(64, dtype="f2"), a=2.0
//| expect y=(2 * x + x).astype("f2")
#include <cuda_fp16.h>
__global__ void k(const __half* x, __half* y, float a) {
    __half v = x[threadIdx.x];
    y[threadIdx.x] = __hfma(__float2half(a), v, v);
}
