# attack: post a result to the runtime port in the supervisor's place
# class: runtime port
# wall: fdless

import http.client


def attack(frame, frame_index, config):
    line = http.client.HTTPConnection("127.0.0.1", config["tcp"], timeout=1)
    line.request("POST", "/2018-06-01/runtime/invocation/1/response", b'{"outcome": "passed"}')
    return "outside: " + line.getresponse().read().decode()
