/*
 * System calls that only this port has: forms with other arguments that 32-bit programs need, which the C libraries use
 * here as well.
 */
#include "kernel/syscall.h"

#include "kernel/uaccess.h"
#include "lib/types.h"

#define STATFS_SIZE 120 /* struct statfs64 is struct statfs here */

long sys_lseek(long fd, long offset, long whence, long, long, long);
long sys_sync_file_range(long fd, long offset, long n, long flags, long, long);
long sys_statfs(long path, long buf, long, long, long, long);
long sys_fstatfs(long fd, long buf, long, long, long, long);

SYSCALL5(_llseek, int, fd, unsigned long, high, unsigned long, low, s64 __user *, result, unsigned, whence)
{
	long pos = sys_lseek(fd, (long)(high << 32 | (u32)low), whence, 0, 0, 0);

	return pos < 0 ? pos : copy_to_user(result, &pos, sizeof(pos));
}

SYSCALL3(statfs64, long, path, size_t, size, long, buf)
{
	return size == STATFS_SIZE ? sys_statfs(path, buf, 0, 0, 0, 0) : -EINVAL;
}

SYSCALL3(fstatfs64, int, fd, size_t, size, long, buf)
{
	return size == STATFS_SIZE ? sys_fstatfs(fd, buf, 0, 0, 0, 0) : -EINVAL;
}

SYSCALL4(sync_file_range2, long, fd, long, flags, long, offset, long, n)
{
	return sys_sync_file_range(fd, offset, n, flags, 0, 0);
}
