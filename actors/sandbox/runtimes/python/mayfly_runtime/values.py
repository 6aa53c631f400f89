"""JSON by what the json module is made of: the module itself brings the regular expressions with it, and importing those
takes a fresh interpreter as long as everything else that a start computes. A function that uses it imports it itself.
"""

import sys

try:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
except ImportError:
    make_scanner = None

_SPACE = " \t\n\r"


class _AsWritten:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


try:
    _scan = make_scanner(_AsWritten)
except Exception:
    _scan = None


def parse(data):
    """As json.loads. What isn't plain JSON in UTF-8 is left to that, which also says what is wrong with it."""
    try:
        text = (data if isinstance(data, str) else str(data, "utf-8")).strip(_SPACE)
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except Exception:
        pass
    import json

    return json.loads(data)


def make_writer(default, ascii_only):
    """As JSONEncoder(default=default, ensure_ascii=ascii_only).encode."""
    if _scan is None:
        import json

        return json.JSONEncoder(default=default, ensure_ascii=ascii_only).encode
    quoted = encode_basestring_ascii if ascii_only else encode_basestring

    def write(value):
        return "".join(make_encoder({}, default, quoted, None, ": ", ", ", False, False, True)(value, 0))

    return write


def _unknown(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


write = make_writer(_unknown, True)
write_unescaped = make_writer(_unknown, False)
