# attack: run a program
# class: processes
# wall: nproc

import subprocess


def attack(frame, frame_index, config):
    return f"outside: {subprocess.run(['/bin/true']).returncode}"
