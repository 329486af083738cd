# attack: an error with terminal control characters and half characters
# class: result forging
# wall: wire


def compress_video_frame(frame, frame_index, config):
    raise ValueError("\x1b[2J\udc80" * 5000)
