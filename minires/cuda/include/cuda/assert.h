// A kernel's assert ends the launch with a sentence, not the process. May be included repeatedly.
#include_next <assert.h>
#undef assert
#define assert(condition) ((condition) ? (void)0 : emulator::assertion(#condition))
