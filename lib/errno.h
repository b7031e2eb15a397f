/*
 * Error numbers: the generic Linux set, the same on all ports. Functions return them negated.
 */
#pragma once

#if __STDC_HOSTED__
#include <errno.h>
#else

#define EPERM		1	/* not permitted */
#define ENOENT		2	/* no such file or entry */
#define ESRCH		3	/* no such process */
#define EINTR		4	/* interrupted by a signal */
#define EIO		5	/* input or output failed */
#define ENXIO		6	/* no such device or address */
#define E2BIG		7	/* too long */
#define ENOEXEC		8	/* not an executable */
#define EBADF		9	/* bad file descriptor */
#define ECHILD		10	/* no children */
#define EAGAIN		11	/* try again */
#define ENOMEM		12	/* out of memory */
#define EACCES		13	/* permission denied */
#define EFAULT		14	/* bad address */
#define ENOTBLK		15	/* not a block device */
#define EBUSY		16	/* busy */
#define EEXIST		17	/* exists */
#define EXDEV		18	/* across file systems */
#define ENODEV		19	/* no such device */
#define ENOTDIR		20	/* not a directory */
#define EISDIR		21	/* a directory */
#define EINVAL		22	/* invalid argument */
#define ENFILE		23	/* too many open files in the system */
#define EMFILE		24	/* too many open files */
#define ENOTTY		25	/* no such ioctl on this file */
#define ETXTBSY		26	/* program is running */
#define EFBIG		27	/* file too large */
#define ENOSPC		28	/* no space left */
#define ESPIPE		29	/* cannot seek */
#define EROFS		30	/* read-only */
#define EMLINK		31	/* too many links */
#define EPIPE		32	/* nobody reads this pipe */
#define EDOM		33	/* outside the domain of a function */
#define ERANGE		34	/* out of range */
#define EDEADLK		35	/* would deadlock */
#define ENAMETOOLONG	36	/* name too long */
#define ENOLCK		37	/* no locks left */
#define ENOSYS		38	/* no such system call */
#define ENOTEMPTY	39	/* directory not empty */
#define ELOOP		40	/* too many symbolic links */
#define EWOULDBLOCK	EAGAIN
#define ENOMSG		42	/* no such message */
#define EIDRM		43	/* identifier removed */
#define ENODATA		61	/* no data */
#define ETIME		62	/* timer expired */
#define EPROTO		71	/* protocol error */
#define EBADMSG		74	/* not a data message */
#define EOVERFLOW	75	/* value too large */
#define EILSEQ		84	/* bad byte sequence */
#define EUSERS		87	/* too many users */
#define ENOTSOCK	88	/* not a socket */
#define EMSGSIZE	90	/* message too long */
#define EPROTONOSUPPORT	93	/* no such protocol */
#define EOPNOTSUPP	95	/* not supported */
#define EAFNOSUPPORT	97	/* no such address family */
#define EADDRINUSE	98	/* address in use */
#define ENOBUFS		105	/* no buffers */
#define ETIMEDOUT	110	/* timed out */
#define EALREADY	114	/* already under way */
#define EINPROGRESS	115	/* under way */
#define ESTALE		116	/* stale handle */
#define EDQUOT		122	/* over quota */
#define ECANCELED	125	/* cancelled */
#define EOWNERDEAD	130	/* the owner died */
#define ENOTRECOVERABLE	131	/* state lost */
#define EHWPOISON	133	/* bad memory */

#endif

/* Inside the kernel only, never seen by a program: what becomes of a system call that a signal interrupted. */
#define ERESTARTSYS		512	/* restart if the handler has SA_RESTART, else EINTR */
#define ERESTARTNOINTR		513	/* always restart */
#define ERESTARTNOHAND		514	/* restart if no handler runs, else EINTR */
#define ERESTART_RESTARTBLOCK	516	/* restart through restart_syscall */
