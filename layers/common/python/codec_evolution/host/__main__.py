"""``python -s -S -P -m codec_evolution.host CONFIG``: one JSON document in, one out."""

import sys

from codec_evolution.host.program import main

sys.exit(main(sys.argv[1:], sys.stdin.buffer, sys.stdout))
