/*
 * A QEMU plugin that counts guest instructions for each vCPU.
 *
 *	gcc -O2 -shared -fPIC -o out/count.so tools/plugin/count.c
 *	make run QEMU_EXTRA='-plugin out/count.so,mark=6687db -d plugin'
 *
 * At the end of the run it prints a line per vCPU. With mark=HEX, the bytes of an instruction that code would not
 * otherwise contain (6687db is x86's "xchg %bx,%bx"), it prints at each execution of that instruction how many
 * instructions the vCPU has executed since its last one, the marker itself included. marks=sum only sums the
 * stretches: every second marker closes one, so the markers around an operation count it alone.
 *
 * QEMU's header is not needed: what is used of the interface (version 1) is declared here. A vCPU's counters are only
 * touched by its own thread. Instructions are counted one by one, because a block may be left in its middle.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT	  __attribute__((visibility("default")))
#define MAX_VCPUS 1024

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { NO_REGISTERS = 0 }; /* the callbacks look at no guest register */

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*cb)(unsigned int vcpu, void *arg),
					    int flags, void *arg);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *arg), void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_outs(const char *text);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* A cache line each, for vCPUs that run at the same time. */
static struct counter {
	uint64_t executed;
	uint64_t at_mark;   /* executed at the last marker */
	uint64_t marks;	    /* markers seen */
	uint64_t in_marks;  /* executed between the first and second of each pair of markers */
} __attribute__((aligned(64))) counters[MAX_VCPUS];

static uint8_t mark[16];
static size_t mark_size;
static bool sum_only;

static void count(unsigned int vcpu, void *arg)
{
	if (vcpu < MAX_VCPUS)
		counters[vcpu].executed++;
}

static void count_mark(unsigned int vcpu, void *arg)
{
	struct counter *c;
	char line[128];

	if (vcpu >= MAX_VCPUS)
		return;
	c = &counters[vcpu];
	if (c->marks++ % 2)
		c->in_marks += c->executed - c->at_mark;
	if (!sum_only) {
		snprintf(line, sizeof(line), "mark vcpu %u: %" PRIu64 " since the last, %" PRIu64 " in all\n", vcpu,
			 c->executed - c->at_mark, c->executed);
		qemu_plugin_outs(line);
	}
	c->at_mark = c->executed;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_insn_exec_cb(insn, count, NO_REGISTERS, NULL);
		if (mark_size && qemu_plugin_insn_size(insn) == mark_size &&
		    memcmp(qemu_plugin_insn_data(insn), mark, mark_size) == 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, count_mark, NO_REGISTERS, NULL);
	}
}

static void finished(plugin_id id, void *arg)
{
	char line[160];

	for (unsigned int vcpu = 0; vcpu < MAX_VCPUS; vcpu++) {
		const struct counter *c = &counters[vcpu];

		if (!c->executed)
			continue;
		snprintf(line, sizeof(line),
			 "total vcpu %u: %" PRIu64 " instructions, %" PRIu64 " markers, %" PRIu64 " between pairs\n",
			 vcpu, c->executed, c->marks, c->in_marks);
		qemu_plugin_outs(line);
	}
}

/* "6687db" into mark[]; false if it is not an even number of hexadecimal digits that fits. */
static bool parse_mark(const char *hex)
{
	unsigned int byte;

	for (mark_size = 0; *hex; hex += 2) {
		if (mark_size == sizeof(mark) || !hex[1] || sscanf(hex, "%2x", &byte) != 1)
			return false;
		mark[mark_size++] = (uint8_t)byte;
	}
	return mark_size > 0;
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "marks=sum") == 0) {
			sum_only = true;
		} else if (strncmp(argv[i], "mark=", 5) != 0 || !parse_mark(argv[i] + 5)) {
			fprintf(stderr, "count: unknown argument %s; there are mark=HEX and marks=sum\n", argv[i]);
			return -1;
		}
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finished, NULL);
	return 0;
}
