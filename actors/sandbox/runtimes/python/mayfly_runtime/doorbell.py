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


class Doorbell:
    def __init__(self, address, rung):
        """`rung` is called once at most, in a thread of its own. Raises OSError where it can't listen."""
        host, _, port = address.rpartition(":")
        self._rung = rung
        self._told = _thread.allocate_lock()
        listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            listener.bind((host, int(port)))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self.address = "%s:%d" % listener.getsockname()
        # The interpreter may end with this still held, by when some can't do without a crash what a socket has to do then.
        self._fd = listener.detach()
        os.register_at_fork(after_in_child=self._hang_up)
        self._theirs = _signal.signal(_signal.SIGIO, self._heard)
        fcntl.fcntl(self._fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) | os.O_ASYNC)

    def close(self):
        """Returns when it has been told of who came."""
        self._hang_up()
        if _signal.getsignal(_signal.SIGIO) == self._heard:
            _signal.signal(_signal.SIGIO, self._theirs)
        self._told.acquire()

    def _hang_up(self):
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _heard(self, _signal_number, _frame):
        """Comes between any two steps of the main thread, also in the middle of what `rung` may have to wait for."""
        if self._rung is None or not self._has_visitor():
            return
        rung, self._rung = self._rung, None
        self._told.acquire()
        try:
            _thread.start_new_thread(self._tell, (rung,))
        except RuntimeError:
            self._told.release()

    def _has_visitor(self):
        """Some kernels (gVisor's) give the signal also where nobody has come."""
        # Not before it is needed, which for most is never.
        import select

        visitors = select.poll()
        if self._fd is not None:
            visitors.register(self._fd, select.POLLIN)
        return bool(visitors.poll(0))

    def _tell(self, rung):
        try:
            rung()
        finally:
            self._told.release()
