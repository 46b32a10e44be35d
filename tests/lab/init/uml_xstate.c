/* Copyright: (c) 2026, the wirefleet.capture authors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Preloaded into linux.uml. Its kernel keeps as much of a process's extended registers as AVX-512 needs and sets that much by
 * ptrace, which a CPU with more of them (AMX) refuses with EFAULT. Here the rest is filled up with what the process has.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Not on the stack, which User-Mode Linux keeps small. */
static char whole[1 << 16];

static long set_all(pid_t pid, void *type, const struct iovec *part)
{
	struct iovec all = {whole, sizeof whole};

	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, type, &all) || all.iov_len <= part->iov_len)
		return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, part);
	memcpy(whole, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, &all);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list rest;
	long word;

	va_start(rest, request);
	pid_t pid = va_arg(rest, pid_t);
	void *address = va_arg(rest, void *), *data = va_arg(rest, void *);
	va_end(rest);
	if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE)
		return set_all(pid, address, data);
	if (request != PTRACE_PEEKTEXT && request != PTRACE_PEEKDATA && request != PTRACE_PEEKUSER)
		return syscall(SYS_ptrace, request, pid, address, data);
	/* The kernel's own call leaves the word in memory; glibc returns it. */
	if (syscall(SYS_ptrace, request, pid, address, &word))
		return -1;
	errno = 0;
	return word;
}
