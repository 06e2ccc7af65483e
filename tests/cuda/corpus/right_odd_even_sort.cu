//| grid=1, block=16
//| y=whole(100, 33), n=33
//| expect y=np.sort(y)
__global__ void k(int* y, int n) {
    for (int phase = 0; phase < n; phase++) {
        int i = 2 * threadIdx.x + phase % 2;
        if (i + 1 < n && y[i] > y[i + 1]) {
            int v = y[i];
            y[i] = y[i + 1], y[i + 1] = v;
        }
        __syncthreads();
    }
}
