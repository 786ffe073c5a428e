/*
 * A flow of system calls whose number is known to the last one at any time: it enters a cgroup, calls in rotation the
 * numbers FIRST … FIRST+K-1 (none of which exists) in bursts with naps between, and leaves again. What it calls inside,
 * naps and the leaving write included, it counts in a shared file; what it calls outside nobody counts.
 *
 *   flow CGROUP_INSIDE CGROUP_OUTSIDE FILE COMM FIRST KEYS BURST NAP_US
 *
 * FILE, u64 words:  0 wanted (0 stay outside, 1 flow, 2 end) | 1 inside | 2 numbered calls | 3 naps | 4 leavings
 * Single-threaded and without handlers, so that no futex, exit or signal return adds a call of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WANTED, INSIDE, CALLS, NAPS, LEAVINGS, WORDS };

static void fail(const char *what)
{
	fprintf(stderr, "flow: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_procs(const char *folder)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	return fd;
}

static void nap(long us)
{
	const struct timespec time = { us / 1000000, us % 1000000 * 1000 };
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL);
}

int main(int argc, char **argv)
{
	if (argc != 9) {
		fprintf(stderr, "flow: bad usage; see the head of flow.c\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	const int inside = open_procs(argv[1]), outside = open_procs(argv[2]);
	const int file = open(argv[3], O_RDWR | O_CLOEXEC);
	const long first = atol(argv[5]), keys = atol(argv[6]), burst = atol(argv[7]), nap_us = atol(argv[8]);
	if (file < 0)
		fail(argv[3]);
	_Atomic unsigned long long *word = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (word == MAP_FAILED)
		fail("mmap");
	prctl(PR_SET_NAME, argv[4]);

	long number = first;
	for (;;) {
		while (word[WANTED] == 0)
			nap(2000);
		if (word[WANTED] == 2)
			return 0;
		/* The call that enters begins outside and is not counted; the one that leaves begins inside. */
		if (write(inside, "0", 1) != 1)
			fail("enter the cgroup");
		word[INSIDE] = 1;
		while (word[WANTED] == 1) {
			for (long i = 0; i < burst; i++) {
				syscall(number);
				if (++number == first + keys)
					number = first;
			}
			word[CALLS] += burst;
			word[NAPS]++;
			nap(nap_us);
		}
		word[LEAVINGS]++;
		if (write(outside, "0", 1) != 1)
			fail("leave the cgroup");
		word[INSIDE] = 0;
	}
}
