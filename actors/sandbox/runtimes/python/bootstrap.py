"""The Python runtime: waits for its init frame on descriptor 3, then is one function until the worker goes."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mayfly_runtime import values  # noqa: E402
from mayfly_runtime.channel import Channel  # noqa: E402
from mayfly_runtime.function import Function  # noqa: E402


def main():
    channel = Channel(3)
    if not channel.has_begun():
        # Booted beforehand: there is time for what most functions are going to want.
        import json  # noqa: F401
    frame = channel.read()
    if frame is None:
        return
    settings = values.parse(frame[1])
    env = settings.pop("env", None)
    # Where a host started this process, it has its environment already: a wrapper may have changed it.
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
    function = Function(channel, settings)
    function.begin(is_hosted=env is None)
    while True:
        frame = channel.read()
        if frame is None:
            os._exit(0)
        function.serve(frame[1])


main()
