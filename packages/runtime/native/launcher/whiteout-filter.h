#ifndef TS_OCI_WHITEOUT_FILTER_H
#define TS_OCI_WHITEOUT_FILTER_H

#include <stdbool.h>

// Refuses to make the character device 0/0, for good: an overlay does, whose mark of what is gone that is, and in a layer it would
// be one. For steps whose root is no overlay. False, with errno, when the kernel refuses.
bool refuse_whiteouts(void);

#endif
