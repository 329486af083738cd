# attack: bytes of a class that lies about its length
# class: result forging
# wall: wire


class Liar(bytes):
    def __len__(self):
        return 0


def compress_video_frame(frame, frame_index, config):
    return Liar(1000)
