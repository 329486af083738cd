# attack: stop oneself, so that the zygote waits for an end that does not come
# class: signals and ptrace
# wall: clocks

import signal


def compress_video_frame(frame, frame_index, config):
    signal.raise_signal(signal.SIGSTOP)
    return b"x"
