"""Listens where Lambda's APIs are promised, for as long as the function initialises, and answers nobody: that something
connects is told, so that a host can be started that does.

The kernel tells of it by a signal: the function's only thread may be the very one that waits for an answer.
"""

import _signal
import _socket
import _thread
import fcntl
import os

_BACKLOG = 16
# Linux's, of the processors there are runtimes for; Python knows it from 3.11 on only.
_O_ASYNC = 0o20000


class Doorbell:
    def __init__(self, address, rung):
        """`rung` is called once at most, in a thread of its own. Raises OSError where it can't listen."""
        host, _, port = address.rpartition(":")
        self._rung = rung
        self._told = _thread.allocate_lock()
        self._listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._listener.bind((host, int(port)))
            self._listener.listen(_BACKLOG)
        except OSError:
            self._listener.close()
            raise
        self.address = "%s:%d" % self._listener.getsockname()
        os.register_at_fork(after_in_child=self._listener.close)
        self._theirs = _signal.signal(_signal.SIGIO, self._heard)
        fd = self._listener.fileno()
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | _O_ASYNC)

    def close(self):
        """Returns when it has been told of who came."""
        self._listener.close()
        if _signal.getsignal(_signal.SIGIO) == self._heard:
            _signal.signal(_signal.SIGIO, self._theirs)
        self._told.acquire()

    def _heard(self, _signal_number, _frame):
        """Comes between any two steps of the main thread, also in the middle of what `rung` may have to wait for."""
        if self._rung is None:
            return
        rung, self._rung = self._rung, None
        self._told.acquire()
        try:
            _thread.start_new_thread(self._tell, (rung,))
        except RuntimeError:
            self._told.release()

    def _tell(self, rung):
        try:
            rung()
        finally:
            self._told.release()
