# -*- coding: utf-7 -*-
# attack: be read as another program than the one that runs, by a coding line
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    said = "held: read as it is written"  # +AAo-    said +AD0- "inside: read as utf-7"
    return said
