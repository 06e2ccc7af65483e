//| fault crash: Segmentation fault
#include <cstdio>
#include <cstdlib>
__global__ void k() {}
int main(int argc, char** argv) {
    k<<<1, 1>>>();
    cudaDeviceSynchronize();
    int* nothing = (int*)getenv("A_NAME_THAT_IS_NOT_SET");
    *nothing = 3; // here
    puts("right");
}
