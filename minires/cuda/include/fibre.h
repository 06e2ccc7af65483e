// Fibres: stacks that a core switches between, and what the sanitizers have to be told about it.
#pragma once
#include <cstddef>

#define __forceinline__ inline __attribute__((always_inline))

#if defined(EMULATOR_COUNTED) || defined(EMULATOR_WATCHED)  // -fsanitize=thread, but the functions it calls are our own
#elif defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define EMULATOR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ASAN 1
#elif __has_feature(thread_sanitizer)
#define EMULATOR_TSAN 1
#endif
#endif

// The emulator's own functions synchronise fibres by switching stacks, which ThreadSanitizer would
// take for races.
#if (defined(EMULATOR_COUNTED) || defined(EMULATOR_WATCHED)) && defined(__clang__)  // there no_sanitize leaves atomics watched
#define EMULATOR_OWN __attribute__((disable_sanitizer_instrumentation, noinline))
#elif defined(EMULATOR_TSAN) || defined(EMULATOR_COUNTED) || defined(EMULATOR_WATCHED)
#define EMULATOR_OWN __attribute__((no_sanitize("thread"), noinline))
#else
#define EMULATOR_OWN __attribute__((noinline))
#endif

extern "C" {
void minires_switch(void** save, void* load);  // keep this stack's state, go on with another's
#if defined(EMULATOR_ASAN)
void __sanitizer_start_switch_fiber(void**, const void*, size_t);
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*);
#elif defined(EMULATOR_TSAN)
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_destroy_fiber(void*);
void __tsan_acquire(void*);
void __tsan_release(void*);
#endif
}

#if defined(__x86_64__)
constexpr int SAVED_REGISTERS = 6, ENTRY_REGISTER = 6;  // as minires_switch pushes them
__asm__(
    ".text\n.weak minires_switch\n.type minires_switch,@function\nminires_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
#elif defined(__aarch64__)
constexpr int SAVED_REGISTERS = 20, ENTRY_REGISTER = 11;
__asm__(
    ".text\n.weak minires_switch\n.type minires_switch,%function\nminires_switch:\n"
    "sub sp, sp, #160\n"
    "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\n"
    "stp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
    "stp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\n"
    "stp d14, d15, [sp, #144]\n"
    "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
    "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\n"
    "ldp x25, x26, [sp, #48]\nldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\n"
    "ldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\n"
    "ldp d14, d15, [sp, #144]\n"
    "add sp, sp, #160\nret\n");
#else
#error "the emulator knows how to switch stacks on x86-64 and on aarch64 only"
#endif
