//| grid=1, block=64
//| y=zeros(128), next=zeros(1, dtype="i4")
//| fault race: next
__global__ void k(float* y, int* next) {
    int place = *next; // here
    atomicAdd(next, 1);
    y[place] = 1;
}
