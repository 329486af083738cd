# attack: an error whose own text never ends
# class: result forging
# wall: clocks


class Endless(Exception):
    def __str__(self):
        while True:
            pass


def compress_video_frame(frame, frame_index, config):
    raise Endless
