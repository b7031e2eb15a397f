/*
 * test
 */
#ifndef POLICY
#define POLICY SHOOTDOWN
#endif
#define CPUS 2
#define MMS 1
#define TASKS 2
#define MM_OF_TASK(t) 1
#define drain(c) skip
#include "lazy_tlb.h"
