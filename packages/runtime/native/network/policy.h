// Which chains of this namespace's tables drop what is forwarded, for those who have to be told what to change.
#ifndef TS_OCI_POLICY_H
#define TS_OCI_POLICY_H

#include <stdbool.h>
#include <stddef.h>

// `text` gets "chain NAME of table FAMILY NAME", and " (with DOCKER-USER)" where Docker keeps a chain for rules of others in that table,
// with ", " between several; "a table" where no policy says it (nor is it that of firewalld): then
// a rule does, or it is one of the old iptables, and the answer is false.
bool name_dropping_chains(int tables, char *text, size_t size);

#endif
