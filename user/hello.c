/*
 * hello: says what the kernel handed to a new program: arguments, environment, auxiliary vector.
 */
#include <elf.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

static const struct {
	unsigned long type;
	const char *name;
	enum { HEX, DECIMAL, STRING } form;
} aux[] = {
	{ AT_PHDR, "PHDR", HEX },	  { AT_PHENT, "PHENT", DECIMAL },    { AT_PHNUM, "PHNUM", DECIMAL },
	{ AT_PAGESZ, "PAGESZ", DECIMAL }, { AT_ENTRY, "ENTRY", HEX },	     { AT_UID, "UID", DECIMAL },
	{ AT_EUID, "EUID", DECIMAL },	  { AT_GID, "GID", DECIMAL },	     { AT_EGID, "EGID", DECIMAL },
	{ AT_SECURE, "SECURE", DECIMAL }, { AT_CLKTCK, "CLKTCK", DECIMAL },  { AT_HWCAP, "HWCAP", HEX },
	{ AT_HWCAP2, "HWCAP2", HEX },	  { AT_SYSINFO_EHDR, "SYSINFO_EHDR", HEX },
	{ AT_RANDOM, "RANDOM", HEX },	  { AT_EXECFN, "EXECFN", STRING },   { AT_PLATFORM, "PLATFORM", STRING },
};

int main(int argc, char **argv, char **envp)
{
	printf("hello, world from pid %d\n", (int)getpid());
	for (int i = 0; i < argc; i++)
		printf("argv[%d] = %s\n", i, argv[i]);
	for (int i = 0; envp[i]; i++)
		printf("envp[%d] = %s\n", i, envp[i]);
	for (size_t i = 0; i < sizeof(aux) / sizeof(aux[0]); i++) {
		unsigned long value = getauxval(aux[i].type);

		if (aux[i].form == STRING)
			printf("%-12s %s\n", aux[i].name, value ? (const char *)value : "-");
		else
			printf(aux[i].form == HEX ? "%-12s %#lx\n" : "%-12s %lu\n", aux[i].name, value);
	}
	return 0;
}
