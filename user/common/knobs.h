/*
 * Knobs of the kernel, /proc/sys/vm/NAME: reading, changing, and putting back what was there.
 */
#pragma once

#include <stddef.h>

/* The longest name and value, with their NULs. */
#define KNOB_NAME 32
#define KNOB_VALUE 32

/* The value, without its newline. Returns its length, or a negative errno: -ENOENT if this kernel has no such knob. */
int knob_read(const char *name, char *buf, size_t size);

/*
 * Change a knob. Its old value is put back by knobs_restore(), at exit(), and when SIGINT, SIGTERM or SIGHUP ends the
 * program; children and what is killed otherwise put nothing back. Call it while there is only one thread.
 * Returns 0 or a negative errno: -ENOENT no such knob, -EINVAL the kernel does not know the value, -EOPNOTSUPP this
 * machine cannot do it, -EACCES or -EPERM not root.
 */
int knob_set(const char *name, const char *value);

/* Put all old values back. Returns 0, or -1 after a message that says what to do by hand. */
int knobs_restore(void);
