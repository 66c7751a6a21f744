// What a step's pid 1 writes on the status pipe, each in one write: a tag, then four bytes in the machine's order. And how
// whatever sets a step up tells that it failed, which ends the process: nothing here goes on after an error.
#ifndef TS_OCI_FAILURE_H
#define TS_OCI_FAILURE_H

#define STATUS_SETUP_FAILED 'S'   // errno, then the operation
#define STATUS_PROCESS_FAILED 'P' // errno, then the operation: the image's or the command's fault

// Where failures go from now on.
void report_failures_to(int status_pipe);
// Whose fault a failure is from now on: STATUS_SETUP_FAILED (as it begins) or STATUS_PROCESS_FAILED.
void blame_failures_on(char tag);
// Reports errno and operation, and ends the process.
_Noreturn void step_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Reports it, of a step that somebody else ends.
void tell_failure(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
