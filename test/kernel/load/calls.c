/*
 * Calls functions of its own a known number of times, for the tests of uprobes. Waits like load.c: "ready", then at each
 * line "go" the calls and a line of JSON, until "end". Arguments: TIMES.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRACED __attribute__((noinline, noclone, used, externally_visible))

/* Recursive: depth + 1 calls. */
TRACED long nested(long depth)
{
	volatile long rest = 0; /* keeps the compiler from making a loop of it */

	if (depth > 0)
		rest = nested(depth - 1);
	return rest;
}

TRACED int naps(const char *name)
{
	usleep(1000);
	return name[0] == 'b' ? -5 : 7;
}

int main(int argc, char **argv)
{
	const int times = argc > 1 ? atoi(argv[1]) : 1;
	char line[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin) && strncmp(line, "go", 2) == 0) {
		for (int i = 0; i < times; i++) {
			nested(3);
			naps(i % 4 ? "good" : "bad");
		}
		printf("{\"tids\":[],\"calls\":%d,\"ns\":[]}\n", times);
	}
	return 0;
}
