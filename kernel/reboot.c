/*
 * reboot(2): the way out for a program that is not pid 1.
 */
#include <arch/boot.h>

#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/syscall.h"

#define MAGIC1		0xfee1deadu
#define MAGIC2A		0x28121969u
#define MAGIC2B		0x05121996u
#define MAGIC2C		0x16041998u
#define MAGIC2D		0x20112000u

#define CMD_RESTART	0x01234567u
#define CMD_HALT	0xcdef0123u
#define CMD_CAD_ON	0x89abcdefu
#define CMD_CAD_OFF	0x00000000u
#define CMD_POWER_OFF	0x4321fedcu

SYSCALL4(reboot, u32, magic1, u32, magic2, u32, cmd, void *, arg)
{
	if (!is_root())
		return -EPERM;
	if (magic1 != MAGIC1 || (magic2 != MAGIC2A && magic2 != MAGIC2B && magic2 != MAGIC2C && magic2 != MAGIC2D))
		return -EINVAL;
	switch (cmd) {
	case CMD_RESTART:
		pr_info("reboot: restarting");
		arch_reboot();
	case CMD_HALT:
	case CMD_POWER_OFF:
		init_exited(0);
	case CMD_CAD_ON:
	case CMD_CAD_OFF:
		return 0;	/* there is no Ctrl-Alt-Del to change */
	default:
		return -EINVAL;
	}
}
