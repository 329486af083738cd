# attack: reach every builtin by the module that an error carries
# class: interpreter walk
# wall: fdless

import cv2


def attack(frame, frame_index, config):
    try:
        cv2.COLOR_THERE_IS_NONE
    except AttributeError as error:
        kept = [error]
    inner = kept[0].obj.sys.modules["built" + "ins"]
    return "inside: " + str(inner.eval("1+1"))
