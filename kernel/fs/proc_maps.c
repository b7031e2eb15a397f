/* /proc/PID/maps. */
#include "kernel/fs/proc.h"
#include "kernel/process.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"

#define NAME_COLUMN	73u	/* where names begin, as on Linux's 64-bit machines */

static const char *vma_name(const struct mm *mm, const struct vma *v)
{
	if (v->ops && v->ops->name)
		return v->ops->name;
	if (v->flags & VM_SIGTRAMP)
		return "[vdso]";
	if (v->start <= mm->brk && v->end >= mm->start_brk && mm->brk > mm->start_brk && !v->file)
		return "[heap]";
	if (v->flags & VM_STACK || (v->start <= mm->start_stack && v->end >= mm->start_stack))
		return "[stack]";
	return NULL;
}

static void vma_show(struct seq *m, struct mm *mm, const struct vma *v, char *buf)
{
	u64 dev = 0, ino = 0, off = v->file ? v->pgoff << PAGE_SHIFT : 0;
	const char *name = vma_name(mm, v);
	size_t start = m->len;

	if (v->file) {
		file_id(v->file, &dev, &ino);
		name = file_path(v->file, buf, PATH_MAX);
		if (IS_ERR(name))
			name = "?";
	}
	seq_printf(m, "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %llu ", v->start, v->end, v->flags & VM_READ ? 'r' : '-',
		   v->flags & VM_WRITE ? 'w' : '-', v->flags & VM_EXEC ? 'x' : '-', v->flags & VM_SHARED ? 's' : 'p',
		   off, dev_major(dev), dev_minor(dev), ino);
	if (name) {
		while (!m->full && m->len - start < NAME_COLUMN)
			seq_putc(m, ' ');
		seq_puts(m, name);
	}
	seq_putc(m, '\n');
}

int proc_maps_show(struct seq *m, const struct proc_ref *ref)
{
	struct mm *mm = get_process_mm(ref->proc);
	char *buf;
	int err = 0;

	if (!mm)
		return 0;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		err = -ENOMEM;
	else
		err = down_read_killable(&mm->mmap_lock);
	if (!err) {
		for (struct vma *v = vma_first(mm); v; v = vma_next(v))
			vma_show(m, mm, v, buf);
		up_read(&mm->mmap_lock);
	}
	kfree(buf);
	mmput(mm);
	return err;
}
