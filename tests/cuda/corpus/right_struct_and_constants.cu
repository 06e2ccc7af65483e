//| grid=1, block=256
//| x=random(256), y=empty(256)
//| expect y=3 * x + 1
struct Line { float a, b; };
__constant__ float w[2] = {3, 1};
__device__ float at(Line line, float x) { return line.a * x + line.b; }
__global__ void k(const float* x, float* y) {
    Line line = {w[0], w[1]};
    y[threadIdx.x] = at(line, x[threadIdx.x]);
}
