/*
 * Starting programs by name, as init and the shell do.
 */
#pragma once

/*
 * Replace this process by a program: a path if the name has a slash, else sought along PATH; a name that is not found
 * there but is an applet of "box" runs that. Returns only on failure, with the exit status that a shell gives (127 not
 * found, 126 not executable), after a message that begins with who.
 */
int run_exec(const char *who, char **argv);

/* A wait status as a shell's exit status: the exit code, or 128 + signal. */
int run_status(int wait_status);
