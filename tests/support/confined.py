"""Runs a program under what a unit's SystemCallFilter and MemoryDenyWriteExecute leave it: confined.py FILE PROGRAM ARGUMENTS…

FILE has the names of the system calls that are allowed, one a line; any other fails with EPERM. Exit code 77 where the kernel or
libseccomp can't do it.
"""

import ctypes
import os
import sys
from pathlib import Path

CANNOT = 77
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 38, 65, 1


def confine(calls: list[str]) -> bool:
    """Confines this process and what it becomes; False where that can't be had."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        seccomp = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    seccomp.seccomp_init.restype = ctypes.c_void_p
    if libc.prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_EPERM)))
    for name in calls:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        # Calls of other architectures have no number here.
        if number >= 0 and seccomp.seccomp_rule_add(context, ctypes.c_uint32(_ALLOW), number, 0):
            return False
    return bool(seccomp.seccomp_load(context) == 0)


def main() -> None:
    """Becomes the program."""
    if not confine(Path(sys.argv[1]).read_text().split()):
        sys.exit(CANNOT)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
