//| fault launch: device 3
int main() {
    cudaSetDevice(3); // here
    return 0;
}
