// Shared memory. Each place that declares some has a buffer of its own per core; at the first touch
// in a block it is filled with NaN and counts as not written.
#pragma once
#include "scheduler.h"

namespace emulator {

#if defined(EMULATOR_CHECKED)
template <class T>
class Checked {  // a pointer into shared memory that knows what has been written
  public:
    Checked(T* data, char* written, long at, long count, const char* name)
        : data(data), written(written), at(at), count(count), name(name) {}
    struct Element {
        Checked pointer;
        operator T() const { return pointer.read(); }
        T operator=(T value) const { return pointer.write(value); }
        T operator=(const Element& other) const { return pointer.write(T(other)); }
        T operator+=(T value) const { return pointer.write(pointer.read() + value); }
    };
    Element operator[](long i) const { return {*this + i}; }
    Element operator*() const { return {*this}; }
    Checked operator+(long i) const { return {data, written, at + i, count, name}; }
    __attribute__((noinline)) T read() const {
        void* where = __builtin_return_address(0);
        check(where);
        if (!written[at * sizeof(T)])
            fail(where, "%s[%ld] in shared memory is read, but nobody has written it", name, at);
        return data[at];
    }
    __attribute__((noinline)) T write(T value) const {
        check(__builtin_return_address(0));
        memset(written + at * sizeof(T), 1, sizeof(T));
        return data[at] = value;
    }

  private:
    T* data;
    char* written;
    long at, count;
    const char* name;
    void check(void* where) const {
        if (at < 0 || at >= count)
            fail(where, "%s[%ld] is outside of the %ld elements in shared memory", name, at, count);
    }
};
template <class T> using SharedPointer = Checked<T>;
#else
template <class T> using SharedPointer = T*;
#endif

// memset, but unseen by ThreadSanitizer: it is no thread of the kernel that writes here.
EMULATOR_OWN inline void fill(void* start, int byte, size_t size) {
#if defined(EMULATOR_TSAN)
    for (size_t i = 0; i < size; i++) ((volatile char*)start)[i] = char(byte);
#else
    memset(start, byte, size);
#endif
}

template <class T, size_t COUNT>
struct Shared {
    alignas(16) T data[COUNT];
#if defined(EMULATOR_CHECKED)
    char written[COUNT * sizeof(T)];
#endif
    uint64_t turn;
    EMULATOR_OWN void begin() {
        void* where = __builtin_return_address(0);
        Core* core = this_core();
        turn = core->turn;
        core->declared += sizeof data;
        if (core->declared > MOST_STATIC)
            fail(where, "the kernel declares %zu bytes of shared memory, but %zu are the most",
                 core->declared, MOST_STATIC);
        fill(data, 0xff, sizeof data);  // NaN
#if defined(EMULATOR_CHECKED)
        fill(written, 0, sizeof written);
#endif
    }
    __forceinline__ SharedPointer<T> pointer(const char* name) {
        if (turn != this_core()->turn) begin();
#if defined(EMULATOR_CHECKED)
        return {data, written, 0, long(COUNT), name};
#else
        return data;
#endif
    }
};

template <class T>
SharedPointer<T> dynamic_shared(const char* name) {
    Core* core = this_core();
    T* data = (T*)core->dynamic.data();
#if defined(EMULATOR_CHECKED)
    return {data, core->dynamic_written.data(), 0, long(core->dynamic.size() / sizeof(T)), name};
#else
    return data;
#endif
}

}  // namespace emulator

#if defined(EMULATOR_WATCHED)
#define SHARED(T, name, count) static __thread T name[count]
#define DYNAMIC_SHARED(T, name) T* const name = (T*)minires_dynamic_shared
#else
#define SHARED(T, name, count)                                              \
    static thread_local emulator::Shared<T, size_t(count)> name##_storage;  \
    const emulator::SharedPointer<T> name = name##_storage.pointer(#name)
#define DYNAMIC_SHARED(T, name) \
    const emulator::SharedPointer<T> name = emulator::dynamic_shared<T>(#name)
#endif
