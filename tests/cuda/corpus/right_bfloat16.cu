//| grid=1, block=64
//| x=random(64), y=empty(64)
//| expect y=(((x.view("u4") + 0x7fff + (x.view("u4") >> 16 & 1)) >> 16 << 16).astype("u4")).view("f4")
#include <cuda_bf16.h>
__global__ void k(const float* x, float* y) {
    __nv_bfloat16 v = __float2bfloat16(x[threadIdx.x]);
    y[threadIdx.x] = __bfloat162float(v);
}
