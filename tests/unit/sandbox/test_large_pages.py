"""Large pages for the zygote: which memory, and when."""

from __future__ import annotations

from codec_sandbox.large_pages import AFTER_FORKS, PAGE_BYTES, STEP_BYTES, LargePages, steps

MAPS = """\
55d0c0000000-55d0c0800000 r-xp 00000000 fe:00 123 /usr/bin/python3.11
55d0c1ff0000-55d0c2c10000 rw-p 00000000 00:00 0   [heap]
7f0000000000-7f0000400000 rw-p 00000000 fe:00 456 /usr/lib/library.so
7f0000500000-7f0000600000 rw-p 00000000 00:00 0
7f0001000000-7f0001800000 rw-s 00000000 00:01 7   /memfd:codec-sandbox (deleted)
7f0002000000-7f0002200000 ---p 00000000 00:00 0
7f0003000000-7f0003200000 rw-p 00000000 00:00 0
""".splitlines()


def test_private_anonymous_memory_is_taken_in_steps_of_whole_large_pages():
    assert list(steps(MAPS)) == [
        (0x55D0C2000000, STEP_BYTES),
        (0x55D0C2800000, 2 * PAGE_BYTES),
        (0x7F0003000000, PAGE_BYTES),
    ]


def test_the_first_forks_take_no_step_and_each_further_one_takes_one_until_all_are_done():
    calls: list[tuple[object, ...]] = []

    def call(*arguments: object) -> int:
        calls.append(arguments)
        return -22

    pages = LargePages(MAPS, call)
    for _ in range(AFTER_FORKS):
        pages.forked()
    assert calls == []
    for _ in range(5):
        pages.forked()
    assert {(address, length) for _, address, length, _ in calls} == {*steps(MAPS)}
    assert len(calls) == 3 and {(name, advice) for name, *_, advice in calls} == {("madvise", 25)}


def test_a_process_that_cannot_read_its_maps_forks_as_it_is():
    LargePages([], lambda *arguments: 1 // 0).forked()
