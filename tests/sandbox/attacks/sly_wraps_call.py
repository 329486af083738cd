# attack: read attributes by computed names with what the helper for decorators returns
# class: interpreter walk
# wall: separate_process

import collections
import functools


class Catch:
    def update(self, value):
        self.value = value


def read(thing, name):
    catch = Catch()
    holder = collections.namedtuple("Holder", [name])(catch)
    try:
        functools.wraps(thing)(holder, assigned=(), updated=(name,))
    except AttributeError:
        pass
    return catch.value


def values():
    yield 1


def attack(frame, frame_index, config):
    return "inside: " + str(read(values(), "gi_" + "frame"))[:60]
