/*
 * Lets libseccomp compile a policy, and writes the program to standard output.
 *
 *     export OPTIMIZE < policy
 *     export names < policy
 *
 * OPTIMIZE is SCMP_FLTATR_CTL_OPTIMIZE: 1, libseccomp's default, or 2, a binary tree. With
 * "names", a line "TOKEN NUMBER NAME" is written for each name and architecture of the policy
 * instead: negative numbers are those of calls that the architecture does not have.
 * A line of the policy is one of
 *
 *     default ACTION              first of all
 *     foreign ACTION              for calls of other architectures
 *     arch TOKEN                  beside the native one
 *     rule ACTION NAME [INDEX OPERATION A B]...
 *
 * Numbers are those of <seccomp.h>. What is left out, and how, is what runc does: names that
 * an architecture does not know, and rules with the default action.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

static int only_names;
static unsigned archs[8], arch_count;

static void add_rule(scmp_filter_ctx ctx, char *rest, unsigned default_action)
{
	struct scmp_arg_cmp conditions[32];
	unsigned count = 0, action, index, operation;
	unsigned long long a, b;
	char name[64];
	int used, number, error;

	if (sscanf(rest, "%u %63s%n", &action, name, &used) != 2)
		fail("a rule", EINVAL);
	rest += used;
	while (sscanf(rest, "%u %u %llu %llu%n", &index, &operation, &a, &b, &used) == 4) {
		if (count == sizeof(conditions) / sizeof(*conditions))
			fail("too many conditions", E2BIG);
		conditions[count++] =
		    (struct scmp_arg_cmp) { index, (enum scmp_compare)operation, a, b };
		rest += used;
	}
	number = seccomp_syscall_resolve_name(name);
	if (only_names) {
		for (index = 0; index < arch_count; index++)
			printf("%u %d %s\n", archs[index],
			       seccomp_syscall_resolve_name_arch(archs[index], name), name);
		return;
	}
	if (number == __NR_SCMP_ERROR || action == default_action)
		return;
	error = seccomp_rule_add_array(ctx, action, number, count, conditions);
	if (error < 0)
		fail(name, error);
}

int main(int argc, char **argv)
{
	unsigned default_action = 0, value;
	scmp_filter_ctx ctx = NULL;
	char line[4096];
	int error;

	if (argc != 2)
		fail("usage: export OPTIMIZE|names", EINVAL);
	only_names = strcmp(argv[1], "names") == 0;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "default %u", &value) == 1) {
			default_action = value;
			ctx = seccomp_init(value);
			if (ctx == NULL)
				fail("seccomp_init", EINVAL);
			error = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE,
						 only_names ? 1 : atoi(argv[1]));
			if (error < 0)
				fail("optimize", error);
		} else if (ctx == NULL) {
			fail("no default action comes first", EINVAL);
		} else if (sscanf(line, "foreign %u", &value) == 1) {
			error = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, value);
			if (error < 0)
				fail("foreign", error);
		} else if (sscanf(line, "arch %u", &value) == 1) {
			if (arch_count == sizeof(archs) / sizeof(*archs))
				fail("too many architectures", E2BIG);
			archs[arch_count++] = value;
			error = seccomp_arch_add(ctx, value);
			if (error < 0 && error != -EEXIST)
				fail("arch", error);
		} else if (strncmp(line, "rule ", 5) == 0) {
			add_rule(ctx, line + 5, default_action);
		} else {
			fail(line, EINVAL);
		}
	}
	if (ctx == NULL)
		fail("an empty policy", EINVAL);
	error = only_names ? 0 : seccomp_export_bpf(ctx, STDOUT_FILENO);
	if (error < 0)
		fail("seccomp_export_bpf", error);
	seccomp_release(ctx);
	return 0;
}
