// All parameters in one launch. Arrays lie anywhere in memory: a table says where.
//
// Block b updates up to CHUNK elements of parameter owners[b], from starts[b] on. 12 bytes read, 8
// written per element. The learning rate is a number in memory: a graph that is replayed reads what
// it is by then; so of what `scaling` says of the gradients (kernels/grad_scaler).
#include "minires.cuh"

constexpr int CHUNK = 1024;  // as in kernels/tables.py
enum { SCALE, INVERSE, FOUND, GOOD };  // places in `scaling`

template <typename T>
__global__ void __launch_bounds__(256) update(const unsigned long long* __restrict__ addresses,
                                              const long long* __restrict__ sizes,
                                              const double* __restrict__ decays,
                                              const int* __restrict__ owners,
                                              const long long* __restrict__ starts, int parameters,
                                              const double* __restrict__ lr, T momentum,
                                              bool nesterov,
                                              OPTIONAL const float* __restrict__ scaling) {
    const bool scaled = scaling != nullptr;
    if (scaled && scaling[FOUND] != 0.0f) return;  // a gradient is not finite: no step
    const T rate = T(lr[0]), inverse = scaled ? T(scaling[INVERSE]) : T(1);
    const int owner = owners[blockIdx.x];
    T* p = reinterpret_cast<T*>(addresses[owner]);
    const T* g = reinterpret_cast<const T*>(addresses[parameters + owner]);
    T* v = reinterpret_cast<T*>(addresses[2 * parameters + owner]);
    const T decay = T(decays[owner]);
    const long long start = starts[blockIdx.x], stop = min(start + CHUNK, sizes[owner]);
    for (long long i = start + threadIdx.x; i < stop; i += blockDim.x) {
        const T own = scaled ? g[i] * inverse : g[i];
        const T gradient = decay != T(0) ? own + decay * p[i] : own;
        const T velocity = momentum * v[i] + gradient;
        v[i] = velocity;
        p[i] -= rate * (nesterov ? gradient + momentum * velocity : velocity);
    }
}
