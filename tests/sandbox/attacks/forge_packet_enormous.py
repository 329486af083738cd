# attack: a packet that fits no channel
# class: result forging
# wall: wire


def compress_video_frame(frame, frame_index, config):
    return bytes(1 << 29)
