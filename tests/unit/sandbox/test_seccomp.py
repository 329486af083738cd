"""The system call tables, run through a small interpreter of the BPF that they become."""

from __future__ import annotations

import errno
import os

import pytest
from codec_sandbox import seccomp, syscalls

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
WORD = 0x7F12_3456_7000
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def answer(number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would answer to one call."""
    machine = ARCHITECTURE[syscalls.MACHINE] if architecture is None else architecture
    words = {0: number, 4: machine}
    for i, argument in enumerate(arguments):
        words[16 + 8 * i], words[20 + 8 * i] = argument & 0xFFFFFFFF, argument >> 32
    value, at, code = 0, 0, seccomp.program(WORD)
    while True:
        operation, true, false, operand = code[at]
        at += 1
        if operation == 0x06:
            return operand
        if operation == 0x20:
            value = words.get(operand, 0)
        else:
            met = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[operation]
            at += true if met else false


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both machines we know."""
    monkeypatch.setattr(syscalls, "MACHINE", request.param)
    monkeypatch.setattr(syscalls, "_COLUMN", ["x86_64", "aarch64"].index(request.param))
    return request.param


def number(name: str) -> int:
    found = syscalls.number(name)
    assert found is not None
    return found


def test_every_allowed_call_is_in_the_table_of_numbers(machine: str):
    for name in seccomp.ALLOWED.split():
        assert name in syscalls.TABLE
        if syscalls.number(name) is not None:
            assert answer(number(name)) == ALLOW


def test_what_is_not_named_is_refused(machine: str):
    for name in ("process_vm_readv", "shmget", "mkdirat", "keyctl", "clone", "seccomp"):
        assert answer(number(name)) == ERRNO | errno.EPERM
    harmless = set(seccomp.allowed_for()) - {"tgkill", "prctl"}  # with zeros for arguments
    allowed = {syscalls.number(name) for name in [*seccomp.ALLOWED.split(), *harmless]}
    assert answer(number("futex")) == ERRNO | errno.EPERM
    assert sum(answer(n) == ALLOW for n in range(600)) == len(allowed - {None})


def test_a_call_for_a_descriptor_is_told_that_there_are_none(machine: str):
    for name in ("openat", "socket", "memfd_create"):
        assert answer(number(name)) == ERRNO | errno.EMFILE
    assert answer(number("clone3")) == ERRNO | errno.ENOSYS


def test_a_worker_may_signal_itself_only(machine: str):
    assert answer(number("tgkill"), os.getpid(), 1, 6) == ALLOW
    assert answer(number("tgkill"), os.getpid() + 1, 1, 6) == ERRNO | errno.EPERM


def test_a_worker_may_ask_the_time_but_not_for_the_cpu_clock_of_another_process(machine: str):
    clock_of_another = ~os.getppid() << 3 | 2
    for name in ("clock_gettime", "clock_getres", "clock_nanosleep"):
        assert [answer(number(name), clock) for clock in range(13)] == [ALLOW] * 12 + [ERRNO | errno.EPERM]
        assert answer(number(name), clock_of_another & 0xFFFFFFFF) == ERRNO | errno.EPERM


def test_a_worker_shares_no_futex_but_the_one_of_its_channel(machine: str):
    wait, wake, wait_alone = 0, 1, 128
    refused = ERRNO | errno.EPERM
    for operation in (wait, wake):
        assert answer(number("futex"), WORD, operation) == ALLOW
        assert answer(number("futex"), WORD + 4, operation) == refused
        assert answer(number("futex"), WORD + (1 << 32), operation) == refused
    assert answer(number("futex"), 0x1000, wait_alone) == ALLOW


def test_a_worker_may_ask_after_itself_only(machine: str):
    for name in ("sched_getaffinity", "get_robust_list", "prlimit64"):
        for pid, said in ((0, ALLOW), (os.getpid(), ALLOW), (os.getppid(), ERRNO | errno.EPERM)):
            assert answer(number(name), pid) == said


def test_limits_may_be_read_but_not_set(machine: str):
    assert answer(number("prlimit64"), 0, 7, 0) == ALLOW
    assert answer(number("prlimit64"), 0, 7, 4096) == ERRNO | errno.EPERM
    assert answer(number("prlimit64"), 0, 7, 1 << 40) == ERRNO | errno.EPERM


def test_only_naming_is_left_of_prctl(machine: str):
    assert answer(number("prctl"), 15) == ALLOW
    assert answer(number("prctl"), 0x53564D41) == ALLOW
    assert answer(number("prctl"), 4) == ERRNO | errno.EPERM


def test_a_foreign_architecture_is_death(machine: str):
    assert answer(20, architecture=0x40000003) == KILL
    if machine == "x86_64":
        assert answer(0x40000000 | number("read")) == KILL
