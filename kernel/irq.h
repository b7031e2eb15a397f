#pragma once
/* Device interrupts: who handles which, and how often they came (/proc/interrupts). */
#include <arch/irq.h>

#include "lib/types.h"

struct seq;

typedef void (*irq_fn)(unsigned irq, void *arg);	/* interrupt context */

/** -EINVAL, -EBUSY. May sleep. */
int irq_request(unsigned irq, bool level, irq_fn fn, void *arg, const char *name);
void irq_free(unsigned irq);
void irq_show(struct seq *m);
