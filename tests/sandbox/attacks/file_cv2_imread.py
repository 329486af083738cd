# attack: read a file through OpenCV
# class: files
# wall: fdless

import cv2


def attack(frame, frame_index, config):
    storage = cv2.FileStorage(config["directory"] + "/out.yml", cv2.FILE_STORAGE_WRITE)
    return "outside: opened for writing" if storage.isOpened() else "held: OpenCV could not open"
