# attack: source that is cheap to send and dear to compile
# class: CPU
# wall: clocks


def attack(frame, frame_index, config):
    return f"outside: {len(repr(eval('(' * 90 + '1' + '+1' * 2_000_000 + ')' * 90)))}"
