#ifndef TS_OCI_FILE_SYSTEM_H
#define TS_OCI_FILE_SYSTEM_H

// A new file system of `type` with options "key", "value", …, NULL (value "" sets a flag); fails the step on errors.
int make_file_system(const char *type, unsigned attributes, const char *const *options);
// The same without options; -1 with errno where the kernel forbids it (EPERM).
int make_file_system_if_allowed(const char *type, unsigned attributes);
// What the kernel says about a refused option or mount; it is worth more than the errno. Valid until the next call.
const char *kernel_log(int context);

#endif
