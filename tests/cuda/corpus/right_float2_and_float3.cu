//| grid=1, block=32
//| p=random(64), q=random(96), y=empty(32)
//| expect y=np.hypot(p[::2], p[1::2]) + q.reshape(32, 3).sum(1)
__global__ void k(const float2* p, const float3* q, float* y) {
    float2 a = p[threadIdx.x];
    float3 b = q[threadIdx.x];
    y[threadIdx.x] = hypotf(a.x, a.y) + b.x + b.y + b.z;
}
