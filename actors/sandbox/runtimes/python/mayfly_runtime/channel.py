"""The sandbox's end of the frames that actors/sandbox/frames.ts describes."""

import _thread
import os
from _struct import Struct

MAX_PAYLOAD_BYTES = 6_291_556
MAX_LOG_BYTES = 256 * 1024
READ_BYTES = 64 * 1024
FIRST_HIDDEN_FD = 200

_LENGTH = Struct(">I")
_HEAD = Struct(">IB")
_LOG = Struct(">IBBdB")


def out_of_the_way(fd):
    """The descriptor's new number, where no function looks; the old one is free."""
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_HIDDEN_FD)
    os.close(fd)
    return moved


class Channel:
    """Blocking frames over a descriptor, which moves out of the way: 3 is free for the function afterwards."""

    def __init__(self, fd):
        self._fd = out_of_the_way(fd)
        self._received = b""
        self._lock = _thread.allocate_lock()
        os.register_at_fork(after_in_child=self._renew_lock)

    def has_begun(self):
        """Whether a frame, or the end, is there already; asked once, before anything is read or written."""
        os.set_blocking(self._fd, False)
        try:
            self._received = os.read(self._fd, READ_BYTES)
            return True
        except BlockingIOError:
            return False
        finally:
            os.set_blocking(self._fd, True)

    def read(self):
        """Waits for a frame: (type, body). None when the worker has gone."""
        while len(self._received) < 4:
            chunk = os.read(self._fd, READ_BYTES)
            if not chunk:
                return None
            self._received += chunk
        end = 4 + _LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            chunks = [self._received]
            missing = end - len(self._received)
            while missing > 0:
                chunk = os.read(self._fd, max(READ_BYTES, missing))
                if not chunk:
                    return None
                chunks.append(chunk)
                missing -= len(chunk)
            self._received = b"".join(chunks)
        frame = self._received
        self._received = frame[end:]
        return frame[4], frame[5:end]

    def ready(self):
        self._write(_HEAD.pack(1, 0x11))

    def init_error(self, error_type, body):
        self._send(0x12, _short(error_type), body)

    def response(self, request_id, content_type, payload):
        self._send(0x13, _short(request_id) + _short(content_type), payload)

    def error(self, request_id, error_type, body):
        self._send(0x14, _short(request_id) + _short(error_type), body)

    def host_wanted(self):
        """Something in here asks for Lambda's APIs."""
        self._write(_HEAD.pack(1, 0x18))

    def log(self, level, at_ms, request_id, text):
        """One message; a very long one arrives as several."""
        data = text.encode("utf-8", "replace")
        request = request_id.encode()[:255]
        start = 0
        while True:
            end = min(start + MAX_LOG_BYTES, len(data))
            while end < len(data) and data[end] & 0xC0 == 0x80:
                end -= 1
            length = 11 + len(request) + end - start
            self._write(_LOG.pack(length, 0x15, level, at_ms, len(request)) + request + data[start:end])
            start = end
            if start >= len(data):
                return

    def _send(self, kind, texts, payload):
        self._write(_HEAD.pack(1 + len(texts) + len(payload), kind) + texts + payload)

    def _write(self, data):
        with self._lock:
            sent = os.write(self._fd, data)
            while sent < len(data):
                sent += os.write(self._fd, data[sent : sent + (1 << 20)])

    def _renew_lock(self):
        self._lock = _thread.allocate_lock()


def _short(text):
    data = text.encode("utf-8", "replace")[:255]
    return bytes((len(data),)) + data
