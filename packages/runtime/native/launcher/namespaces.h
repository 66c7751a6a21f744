#ifndef TS_OCI_NAMESPACES_H
#define TS_OCI_NAMESPACES_H

// Makes the namespaces, writes the id maps, and waits; the exit status is the executor's.
int launch(int argc, char **argv);

#endif
