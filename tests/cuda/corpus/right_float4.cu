//| grid=1, block=64
//| x=random(256), y=empty(256)
//| expect y=x.reshape(64, 4)[:, ::-1].reshape(-1)
__global__ void k(const float4* x, float4* y) {
    float4 v = x[threadIdx.x];
    y[threadIdx.x] = make_float4(v.w, v.z, v.y, v.x);
}
