# attack: take a module out of the error that a missing name raises
# class: interpreter walk
# wall: fdless

import cv2


def attack(frame, frame_index, config):
    try:
        cv2.COLOR_THERE_IS_NONE
    except AttributeError as error:
        found = error.obj
    return f"inside: process {found.os.getpid()}"
