"""What a message on real frames may say: names and a few rounded numbers, no samples."""

import base64

import pytest
from codec_sandbox.disclosure import MAX_CHARS, disclosed, without_samples
from codec_sandbox.runs import Fault


@pytest.mark.parametrize(
    "message",
    [
        "IndexError: index 24 is out of bounds for axis 0 with size 24",
        "ValueError: operands could not be broadcast together with shapes (192,320) (96,160)",
        "no answer within 30 s",
        "NameError: name 'np2' is not defined",
        "the decoder returned shape (192, 320), expected (192, 320, 3)",
    ],
)
def test_an_ordinary_message_is_told_as_it_is(message):
    assert without_samples(message) == message


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("0.123456789 and 1234567", "0.123 and 1.23e+06"),
        ("1 2 3 4 5 6 7 8 9 10", "1 2 3 4 5 6 7 8 # #"),
        ("[12,13,14,15,16,17,18,19,20]", "[12,13,14,15,16,17,18,19,#]"),
        ("-1e999 1_000_000", "-inf 1e+06"),
    ],
)
def test_numbers_are_rounded_and_few(message, told):
    assert without_samples(message) == told


def test_encoded_data_does_not_pass():
    data = base64.b85encode(bytes(range(256)) * 8).decode()
    assert without_samples(f"ValueError: {data}") == "ValueError: ..."
    spaced = " ".join(data[i : i + 30] for i in range(0, len(data), 30))
    assert len(without_samples(spaced)) <= MAX_CHARS


def test_a_traceback_keeps_places_and_lines_of_the_source_alone():
    source = b"def compress_video_frame(frame, i, c):\n    return frame[99]\n"
    place = "line 2, in compress_video_frame: return frame[99]"
    traceback = f"{place}\nline 3, in compress_video_frame: 17 18 19 20\n17 18 19 20 21"
    fault = disclosed(Fault("runtime", "IndexError", line=2, traceback=traceback), source)
    assert fault.traceback == place
