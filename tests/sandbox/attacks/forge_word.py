# attack: turn the word that both ends wait on without end, and move the supervisor's sleep to another word
# class: result forging
# wall: clocks

import ctypes
import gc

libc = ctypes.CDLL(None, use_errno=True)


def compress_video_frame(frame, frame_index, config):
    line = next(found for found in gc.get_objects() if type(found).__name__ == "Channel")
    word = ctypes.c_uint32.from_buffer(line.memory)
    here = ctypes.addressof(word)
    turns = 0
    while True:
        turns += 1
        word.value = turns | 4  # never a state that anybody knows
        libc.syscall(202, ctypes.c_void_p(here), 3, 1, 100, ctypes.c_void_p(here + 64), 0)  # requeue
        libc.syscall(202, ctypes.c_void_p(here + 64), 6, 0, None, None, 0)  # lock, with priority
