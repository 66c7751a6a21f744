// Real files and directories below a step's /proc: what calls find that nobody is asked about, and what a listing shows.
#ifndef TS_OCI_PROC_PLACES_H
#define TS_OCI_PROC_PLACES_H

#include <sys/types.h>

// Fills the directory that is the step's /proc.
void make_proc_places(int places);
// Makes the directory `path` of the step's /proc show what `shown` (of the container's, closed here) has now; -1 with errno,
// else a descriptor of it. Of processes only those below `sentinel` are shown.
int mirror_directory(int places, const char *path, int shown, pid_t sentinel);

// Makes the directory of a process that was looked at; and takes away those of processes that have ended.
void show_process(int root, pid_t pid, uid_t uid, gid_t gid);
void hide_ended(int root, int proc);

#endif
