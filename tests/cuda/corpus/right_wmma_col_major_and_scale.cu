//| grid=1, block=32
//| a=random(16, 16).astype("f2"), b=random(16, 16).astype("f2"), c=random(16, 16)
//| expect c=2 * (a.astype("f4") @ b.astype("f4").T) + c
#include <mma.h>
using namespace nvcuda::wmma;
__global__ void k(const half* a, const half* b, float* c) {
    fragment<matrix_a, 16, 16, 16, half, row_major> left;
    fragment<matrix_b, 16, 16, 16, half, col_major> right;
    fragment<accumulator, 16, 16, 16, float> sum, old;
    load_matrix_sync(left, a, 16);
    load_matrix_sync(right, b, 16);
    load_matrix_sync(old, c, 16, mem_row_major);
    fill_fragment(sum, 0.0f);
    mma_sync(sum, left, right, sum);
    for (int i = 0; i < sum.num_elements; i++) sum.x[i] = 2 * sum.x[i] + old.x[i];
    store_matrix_sync(c, sum, 16, mem_row_major);
}
