"""The filter is run here by an interpreter of the few BPF instructions it uses, for both architectures."""

import errno
import struct

import pytest

from services.review.analyzers import syscalls
from services.review.analyzers.seccomp import program

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
MACHINES = ["x86_64", "aarch64"]
# What Python and every program live on: read, write, openat, mmap, execve, exit_group, futex, wait4, getrandom.
NEEDED = {"x86_64": (0, 1, 257, 9, 59, 231, 202, 61, 318), "aarch64": (63, 64, 56, 222, 221, 94, 98, 260, 278)}


def run(code: bytes, arch: int, number: int, first: int = 0) -> int:
    data = struct.pack("=iIQ6Q", number if number < 2**31 else number - 2**32, arch, 0, first, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("=HBBI", code))
    at, value = 0, 0
    k: int
    while True:
        op, yes, no, k = steps[at]
        at += 1
        if op == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        elif op == 0x06:
            return k
        else:
            taken = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[op]
            at += yes if taken else no


@pytest.mark.parametrize("machine", MACHINES)
def test_every_listed_call_is_denied_and_the_needed_ones_pass(machine: str) -> None:
    code, arch = program(machine, deny_signals=False), syscalls.AUDIT_ARCH[machine]
    column = MACHINES.index(machine)
    for group in (syscalls.NETWORK, syscalls.OTHER_PROCESSES, syscalls.SYSTEM):
        for name, numbers in group.items():
            number = numbers[column]
            assert number is None or run(code, arch, number) == EPERM, name
    assert [run(code, arch, number) for number in NEEDED[machine]] == [ALLOW] * len(NEEDED[machine])


@pytest.mark.parametrize("machine", MACHINES)
def test_signals_are_denied_only_where_asked(machine: str) -> None:
    arch, column = syscalls.AUDIT_ARCH[machine], MACHINES.index(machine)
    for numbers in syscalls.SIGNALS.values():
        number = numbers[column]
        assert number is not None
        assert run(program(machine, deny_signals=True), arch, number) == EPERM
        assert run(program(machine, deny_signals=False), arch, number) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_no_new_namespace_and_no_limits_of_others(machine: str) -> None:
    code, arch, column = program(machine, deny_signals=False), syscalls.AUDIT_ARCH[machine], MACHINES.index(machine)
    clone, limits = syscalls.CLONE[column], syscalls.PRLIMIT64[column]
    fork, thread = 17, 0x3D0F00
    assert run(code, arch, clone, fork) == run(code, arch, clone, thread) == ALLOW
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(code, arch, clone, fork | flag) == EPERM
    assert run(code, arch, syscalls.CLONE3) == ENOSYS
    assert (run(code, arch, limits, 0), run(code, arch, limits, 1)) == (ALLOW, EPERM)


@pytest.mark.parametrize("machine", MACHINES)
def test_foreign_architectures_are_killed_and_newer_calls_unknown(machine: str) -> None:
    code, arch = program(machine, deny_signals=False), syscalls.AUDIT_ARCH[machine]
    other = next(value for name, value in syscalls.AUDIT_ARCH.items() if name != machine)
    assert run(code, other, 0) == run(code, 0x40000003, 0) == KILL
    assert run(code, arch, syscalls.LAST_KNOWN + 1) == ENOSYS
    if machine == "x86_64":
        assert run(code, arch, 0x40000000) == run(code, arch, 0xFFFFFFFF) == KILL


def test_other_machines_have_no_filter() -> None:
    with pytest.raises(KeyError):
        program("riscv64", deny_signals=False)
