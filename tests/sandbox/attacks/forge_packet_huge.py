# attack: a packet above the limit
# class: result forging
# wall: wire


def compress_video_frame(frame, frame_index, config):
    return bytes(1 << 20) + b"x"
