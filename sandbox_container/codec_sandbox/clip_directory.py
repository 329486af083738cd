"""Where the clips are. It imports no library, so that a command may ask without waiting for numpy."""

import os
from pathlib import Path

CLIPS_VARIABLE = "CODEC_SANDBOX_CLIPS"
"""Environment variable that names the directory of another clip set, in place of the shipped one."""

CLIP_DIRECTORY = Path(
    os.environ.get(CLIPS_VARIABLE) or Path(__file__).resolve().parents[1] / "clips"
).absolute()
"""The clip set of this process: the committed manifest and, after set-up, the extracted windows."""
