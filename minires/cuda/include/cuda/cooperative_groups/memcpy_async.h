// memcpy_async of a group: its threads share the copy; wait() waits for it, and for all of them.
#pragma once
#include "../cooperative_groups.h"
#include "../cuda_pipeline_primitives.h"

namespace cooperative_groups {

template <class Group, class T>
__forceinline__ void memcpy_async(const Group& group, T* to, const T* from, size_t bytes) {
    for (size_t at = group.thread_rank() * 4; at < bytes; at += group.size() * 4)
        emulator::copy_later((char*)to + at, (const char*)from + at, 4, 0);
    __pipeline_commit();
}
template <class Group> __forceinline__ void wait(const Group& group) {
    emulator::wait_for_copies(0);
    group.sync();
}
template <unsigned LEFT, class Group> __forceinline__ void wait_prior(const Group& group) {
    emulator::wait_for_copies(LEFT);
    group.sync();
}

}  // namespace cooperative_groups
