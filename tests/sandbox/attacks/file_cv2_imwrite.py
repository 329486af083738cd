# attack: write an image file through OpenCV
# class: files
# wall: fdless

import cv2


def attack(frame, frame_index, config):
    done = cv2.imwrite(config["directory"] + "/image.png", frame)
    return "outside: wrote" if done else "held: OpenCV could not write"
