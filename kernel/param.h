#pragma once
/*
 * Options of the kernel command line, declared where they are used; and knobs under /proc/sys, which are options too.
 * An unknown or malformed option is reported and ignored (kernel/param.c).
 */
#include "lib/cmdline.h"

struct knob {
	const char *name;		/* "vm.free_async": /proc/sys/vm/free_async and vm.free_async=VALUE */
	const struct cmdline_option *opt;	/* what values are allowed, where the value lives */
	/* after a write through /proc; may sleep; an error is returned to the writer and the value restored */
	int (*changed)(void);
} __aligned(32);	/* its size is a multiple of its alignment: the section is an array */

/* An option of the command line only. */
#define BOOT_OPTION(ident)									\
	static const struct cmdline_option __section("boot_options") __attribute__((used)) ident
/* A knob: command line and /proc/sys. */
#define KNOB(ident) static const struct knob __section("knobs") __attribute__((used)) ident

extern const struct cmdline_option __start_boot_options[], __stop_boot_options[];
extern const struct knob __start_knobs[], __stop_knobs[];

/**
 * Parse boot_info.cmdline. Fills init_argv with the words after "--" and adds unknown NAME=value words in capitals to
 * init_envp.
 */
void params_init(void);
extern const char *init_argv[64];
extern unsigned init_argc;
extern const char *init_envp[32];
/** The knob of that name ("vm.tlb_shootdown"), or NULL. */
const struct knob *knob_find(const char *name);
/**
 * Set and read a knob in the form of /proc/sys. knob_write may sleep; 0, -EINVAL, or what the knob's owner says
 * (-EOPNOTSUPP: not on this machine), and then nothing has changed. knob_show returns the length of "value\n".
 */
int knob_write(const struct knob *k, const char *text);
int knob_show(const struct knob *k, char *buf, size_t n);
