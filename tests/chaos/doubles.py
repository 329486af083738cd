"""Stand-ins where measuring and the model end: canned reports, and a model whose codecs are always a little better."""

from __future__ import annotations

import re
import threading
from collections import Counter
from http.server import ThreadingHTTPServer
from typing import Any

from codec_evolution.candidate import sha256_hex
from codec_evolution.contracts import Envelope
from codec_evolution.pricing import Usage, load_prices

from infra.local.synthesis import ROOT
from tests.integration.support import ladder, report
from tests.support.messages_api import MessagesApi, Script, _Handler

BASELINE = (ROOT / "sandbox_container/codecs/version_0.py").read_text("utf-8")
SCALE = re.compile(r"RATE_SCALE = (\d+\.\d+)")
"""What a codec says of its own rate, relative to version 0; the canned reports take its word."""
GAIN = 0.75
MODEL = "claude-opus-5-5"
TOKENS = {"input_tokens": 1000, "output_tokens": 500}
"""Usage of every answer."""


def benchmark(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Stand for the sandbox: a report of the real shape, at once."""
    # The runtime client waits for the log of a function that writes none.
    print("measured", flush=True)
    if event.get("control"):
        return report(sha256_hex(BASELINE))
    source = Envelope.model_validate(event["envelope"]).source()
    if "audit" in (*event["stages"], *event.get("windows_of", ())):
        return _audited(event, sha256_hex(source))
    found = SCALE.search(source)
    scale = float(found[1]) if found else 1.0
    measured = report(sha256_hex(source), event["split"], scale=scale, seed=event["seed"])
    return _part(event, measured)


REPEATED = "carphone/0"
"""The training window that the confirming side repeats."""


def _part(event: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Return what one invocation reports of a whole report: its windows, one of them, or none."""
    window, sealed = event.get("window"), "sealed" in event.get("windows_of", ())
    roles = {f"{each['clip']}/{each['window']}": each["role"] for each in whole["points"]}
    named = [{"window": name, "role": role} for name, role in roles.items() if sealed or role != "sealed"]
    if event["split"] == "held_out":
        named.insert(0, {"window": REPEATED, "role": "train"})
    rows = {
        name: [each for each in whole[name] if f"{each['clip']}/{each['window']}" == window]
        for name in ("points", "anchors")
    }
    hashes = {} if window == REPEATED else {"packets_sha256": {}, "frames_sha256": {}}
    return {**whole, **rows, **hashes, **({"windows": named} if event.get("windows_of") else {})}


SEGMENTS = ("film/0", "film/1", "film/2")
"""Of an audit; the number of a segment is where it begins, in seconds."""


def _audited(event: dict[str, Any], source_sha256: str) -> dict[str, Any]:
    """Return the list of the segments, or the report of one."""
    whole = {
        "outcome": "passed",
        "source_sha256": source_sha256,
        "clip_set": "clips",
        "timings_s": {"audit": 1.0},
    }
    if "window" not in event:
        return whole | {"windows": [{"window": each, "role": "audit"} for each in SEGMENTS]}
    clip, _, number = event["window"].partition("/")
    where = {"clip": clip, "window": int(number)}
    size = {"width": 1920, "height": 1080, "fps": 30.0, "encode_cpu_s": 8.0, "decode_cpu_s": 4.0}
    ranges = {"low_db": 31.0, "high_db": 43.0, "reference_db": 37.0, "reference_mbps": 10.0}
    video = {
        "video": "film.mp4",
        "video_sha256": "f" * 64,
        "start_s": float(number),
        "hevc_file": None,
        "note": "",
    }
    return whole | {
        "points": [{**where, "role": "audit", **point, **size} for point in ladder(0.5)],
        "anchors": [{**where, "codec": "x265_zerolatency", "points": ladder(1.0)}],
        "quality_ranges": {event["window"]: ranges},
        "segments": {event["window"]: video},
    }


def answer_usd() -> float:
    """Return what one answer of the model costs."""
    price = load_prices().model(MODEL, "anthropic")
    return price.cost(Usage(input=TOKENS["input_tokens"], output=TOKENS["output_tokens"]))


class _Codecs(Script):
    """Answers every call with a codec that is better than the best one in the prompt, and keeps the bill."""

    def __init__(self) -> None:
        super().__init__(turns=[], repeat=True)
        self.answers: Counter[str] = Counter()
        self.whose = threading.local()

    def next_turn(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.calls.append(body)
            self.answers[self.whose.lineage] += 1
            lineage, number = self.whose.lineage, self.answers[self.whose.lineage]
        shown = [float(each) for each in SCALE.findall(str(body["messages"][0]))]
        scale = min([1.0, *shown]) * GAIN
        # The last line makes each codec another one: a source that was tested in any lineage is refused.
        told = {
            "source": f"{BASELINE}\nRATE_SCALE = {scale:.12f}\nNAME = {f'{lineage}, {number}'!r}\n",
            "base": None,
            "edits": None,
            "hypothesis": "A smaller scale needs fewer bits.",
            "summary": "Version 0 with a smaller scale.",
        }
        return {"reply": {"tools": [{"name": "submit_codec", "input": told}], "usage": TOKENS}}


class _Billing(_Handler):
    """Takes the lineage from the first part of the path."""

    codecs: _Codecs

    def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
        if self.path == "/key":
            self._json(200, {"api_key": "sk-ant-chaos"})
            return
        if self.path.startswith("/answers/"):
            self._json(200, self.codecs.answers[self.path.removeprefix("/answers/")])
            return
        self._take_lineage()
        super().do_GET()

    def do_POST(self) -> None:  # noqa: N802 - the name is http.server's
        self._take_lineage()
        super().do_POST()

    def _take_lineage(self) -> None:
        self.codecs.whose.lineage, _, rest = self.path.removeprefix("/").partition("/")
        self.path = f"/{rest}"


class Model(MessagesApi):
    """The model's stand-in in a thread; a context manager.

    Attributes
    ----------
    answers
        How many answers each lineage was given, and must pay for.
    """

    def __init__(self, port: int = 0) -> None:
        codecs = _Codecs()
        super().__init__(codecs)
        self._server.server_close()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Handler", (_Billing,), {"script": codecs, "codecs": codecs})
        )
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.answers = codecs.answers

    def __enter__(self) -> Model:
        """Start serving."""
        super().__enter__()
        return self
