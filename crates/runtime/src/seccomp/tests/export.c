/* Builds a filter with libseccomp from lines of numbers, and writes the program to standard output.
 *
 *   default ACTION
 *   arch TOKEN
 *   rule ACTION NAME COUNT [INDEX OP A B]...
 */
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	return 1;
}

int main(void)
{
	scmp_filter_ctx ctx = NULL;
	char word[16], name[64];
	uint32_t value;

	while (scanf("%15s %" SCNu32, word, &value) == 2) {
		int rc = 0;
		if (!strcmp(word, "default")) {
			ctx = seccomp_init(value);
			if (!ctx)
				return fail("seccomp_init", -EINVAL);
		} else if (!strcmp(word, "arch")) {
			rc = seccomp_arch_add(ctx, value);
			if (rc && rc != -EEXIST)
				return fail("seccomp_arch_add", rc);
		} else {
			struct scmp_arg_cmp args[6];
			unsigned count, index, op, i;
			if (scanf("%63s %u", name, &count) != 2 || count > 6)
				return fail("input", -EINVAL);
			for (i = 0; i < count; i++) {
				if (scanf("%u %u %" SCNu64 " %" SCNu64, &index, &op, &args[i].datum_a, &args[i].datum_b) != 4)
					return fail("input", -EINVAL);
				args[i].arg = index;
				args[i].op = op;
			}
			int nr = seccomp_syscall_resolve_name(name);
			if (nr == __NR_SCMP_ERROR)
				continue;
			rc = seccomp_rule_add_array(ctx, value, nr, count, args);
			if (rc && rc != -EEXIST)
				return fail(name, rc);
		}
	}
	int rc = seccomp_export_bpf(ctx, STDOUT_FILENO);
	return rc ? fail("seccomp_export_bpf", rc) : 0;
}
