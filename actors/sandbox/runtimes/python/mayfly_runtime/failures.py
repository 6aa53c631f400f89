"""What a function's failures look like to the caller, and in the log."""

import os
import sys

_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class RuntimeFailure(Exception):
    """A failure the runtime itself finds; error_type is one of Lambda's Runtime.* names."""

    def __init__(self, error_type, message, trace=()):
        super().__init__(message)
        self.error_type = error_type
        self.trace = list(trace)


def error_body(error, request_id=""):
    """Lambda's {errorMessage, errorType, requestId, stackTrace}; the trace begins in the function's own code."""
    import traceback

    if isinstance(error, RuntimeFailure):
        error_type, trace = error.error_type, error.trace
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not _is_ours(frame.filename)]
        error_type, trace = type(error).__name__, traceback.format_list(own)
    return {"errorMessage": _text(error), "errorType": error_type, "requestId": request_id, "stackTrace": trace}


def error_text(body):
    """The same for a reader of the log."""
    head = "[ERROR] %s: %s" % (body["errorType"], body["errorMessage"]) if body["errorMessage"] else "[ERROR] " + body["errorType"]
    return "\n".join([head, "Traceback (most recent call last):"] + [line.rstrip("\n") for line in body["stackTrace"]])


def _is_ours(path):
    return path.startswith(_OWN_FOLDER + os.sep) or path.startswith("<frozen importlib")


def _text(error):
    try:
        return str(error)
    except Exception:
        return "%s can't be shown: %s" % (type(error).__name__, sys.exc_info()[0].__name__)
