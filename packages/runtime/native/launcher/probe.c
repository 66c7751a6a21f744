#define _GNU_SOURCE
#include "probe.h"

#include <unistd.h>

void run_probe(const struct executor_config *config) { _exit(0); }
