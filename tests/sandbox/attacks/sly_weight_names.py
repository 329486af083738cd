# attack: have a torch layer read attributes whose names are told to it as those of its weights
# class: interpreter walk
# wall: separate_process

from torch import nn


class Layer(nn.LSTM):
    def __init__(self):
        super().__init__(2, 2)
        self._all_weights = [["_" + "_dict_" + "_"]]


def attack(frame, frame_index, config):
    ((names,),) = Layer().all_weights
    return f"inside: {len(names)} attributes"
