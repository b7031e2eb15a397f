/*
 * A QEMU plugin: how many guest instructions each translation block ran, by address. tools/profile.py sums them by
 * function.
 *
 *	-plugin out/plugin/profile.so,out=FILE
 *
 * QEMU 7.2's plugin interface is declared here by hand, because Debian packages no header for it.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum { INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr, uint64_t imm);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, void *), void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

EXPORT int qemu_plugin_version = 1;

struct block {
	uint64_t addr, insns;
	uint64_t runs;
	struct block *next;
};

#define BUCKETS 65536
static struct block *blocks[BUCKETS];
static const char *out_name = "profile.out";

static struct block *find(uint64_t addr, uint64_t insns)
{
	struct block **b = &blocks[(addr >> 2 ^ addr >> 18) % BUCKETS];

	for (; *b; b = &(*b)->next)
		if ((*b)->addr == addr && (*b)->insns == insns)
			return *b;
	*b = calloc(1, sizeof(**b));
	(*b)->addr = addr;
	(*b)->insns = insns;
	return *b;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = find(qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb));

	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &b->runs, 1);
}

static void finish(qemu_plugin_id_t id, void *arg)
{
	FILE *f = fopen(out_name, "w");

	if (!f)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct block *b = blocks[i]; b; b = b->next)
			if (b->runs)
				fprintf(f, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->addr, b->insns, b->runs);
	fclose(f);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out_name = strdup(argv[i] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
