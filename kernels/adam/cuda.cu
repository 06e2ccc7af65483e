// All parameters in two launches: `advance` counts the step, then `update` takes it. Arrays lie
// anywhere in memory: tables say where.
//
// Learning rate and step numbers are numbers in memory: a graph that is replayed reads what they are
// by then; so of what `scaling` says of the gradients (kernels/grad_scaler).
#include "minires.cuh"

constexpr int CHUNK = 1024;  // as in kernels/tables.py
enum { SCALE, INVERSE, FOUND, GOOD };  // places in `scaling`

// Thread i counts for parameter i, and computes 1 - beta1^t and 1 - beta2^t once for all of its
// elements. In double: in float 1 - 0.999 has 4 digits left. 16 bytes read, 24 written per parameter.
__global__ void __launch_bounds__(256) advance(const unsigned long long* __restrict__ steps,
                                               int parameters, double beta1, double beta2,
                                               double* __restrict__ corrections,
                                               OPTIONAL const float* __restrict__ scaling) {
    if (scaling != nullptr && scaling[FOUND] != 0.0f) return;  // a gradient is not finite: no step
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= parameters) return;
    long long* step = reinterpret_cast<long long*>(steps[i]);
    const long long t = *step + 1;
    *step = t;
    corrections[2 * i] = 1 - pow(beta1, double(t));
    corrections[2 * i + 1] = 1 - pow(beta2, double(t));
}

// Block b updates up to CHUNK elements of parameter owners[b], from starts[b] on. 16 bytes read, 12
// written per element. `addresses` are those of parameters, gradients, first and second moments.
template <typename T>
__global__ void __launch_bounds__(256) update(const unsigned long long* __restrict__ addresses,
                                              const long long* __restrict__ sizes,
                                              const double* __restrict__ decays,
                                              const int* __restrict__ owners,
                                              const long long* __restrict__ starts, int parameters,
                                              const double* __restrict__ lr,
                                              const double* __restrict__ corrections, double beta1,
                                              double beta2, T eps, bool decoupled,
                                              OPTIONAL const float* __restrict__ scaling) {
    const bool scaled = scaling != nullptr;
    if (scaled && scaling[FOUND] != 0.0f) return;  // a gradient is not finite: no step
    const T inverse = scaled ? T(scaling[INVERSE]) : T(1);
    const int owner = owners[blockIdx.x];
    T* p = reinterpret_cast<T*>(addresses[owner]);
    const T* g = reinterpret_cast<const T*>(addresses[parameters + owner]);
    T* m = reinterpret_cast<T*>(addresses[2 * parameters + owner]);
    T* v = reinterpret_cast<T*>(addresses[3 * parameters + owner]);
    const T rate = T(lr[0] / corrections[2 * owner]), correction = T(corrections[2 * owner + 1]);
    const T kept = decoupled ? T(1 - lr[0] * decays[owner]) : T(1);
    const T decay = decoupled ? T(0) : T(decays[owner]);
    const T old1 = T(beta1), new1 = T(1 - beta1), old2 = T(beta2), new2 = T(1 - beta2);
    const long long start = starts[blockIdx.x], stop = min(start + CHUNK, sizes[owner]);
    for (long long i = start + threadIdx.x; i < stop; i += blockDim.x) {
        const T own = scaled ? g[i] * inverse : g[i];
        const T gradient = decay != T(0) ? own + decay * p[i] : own;
        const T first = old1 * m[i] + new1 * gradient;
        const T second = old2 * v[i] + new2 * gradient * gradient;
        m[i] = first;
        v[i] = second;
        p[i] = kept * p[i] - rate * first / (sqrt(second / correction) + eps);
    }
}
