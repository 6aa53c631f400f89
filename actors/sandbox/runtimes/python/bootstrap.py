"""The Python runtime: waits for its init frame on descriptor 3, then is one function until the worker goes."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mayfly_runtime.channel import Channel  # noqa: E402
from mayfly_runtime.function import Function  # noqa: E402


def relaunch(channel, settings, env):
    """Hands this process to the wrapper script, which starts the runtime again with an ordinary Python."""
    wrapper = env["AWS_LAMBDA_EXEC_WRAPPER"]
    channel.expose(3)
    os.chdir(settings["taskRoot"])
    options = ["-X", "utf8"] + (["-B"] if sys.dont_write_bytecode else [])
    command = [wrapper, sys.executable] + options + [os.path.abspath(__file__)]
    try:
        os.execve(wrapper, command, {**env, "_MAYFLY_INIT": json.dumps(settings)})
    except OSError as error:
        print("%s: %s" % (wrapper, error.strerror), file=sys.stderr, flush=True)
        os._exit(127)


def main():
    channel = Channel(3)
    handed_over = os.environ.pop("_MAYFLY_INIT", None)
    if handed_over is not None:
        settings = json.loads(handed_over)
    else:
        frame = channel.read()
        if frame is None:
            return
        settings = json.loads(frame[1])
        env = settings.pop("env")
        if env.get("AWS_LAMBDA_EXEC_WRAPPER"):
            relaunch(channel, settings, env)
        os.environ.clear()
        os.environ.update(env)
        time.tzset()
    function = Function(channel, settings)
    function.begin()
    while True:
        frame = channel.read()
        if frame is None:
            os._exit(0)
        function.serve(frame[1])


main()
