"""Connects the logging module to the worker, once somebody has use for it: it takes a fifth of an idle runtime's memory."""

import os
import sys

LEVELS = {"TRACE": 1, "DEBUG": 2, "INFO": 3, "WARN": 4, "ERROR": 5, "FATAL": 6}


def set_up(settings, channel, current):
    """Gives the root logger its one handler before the function's own code can look for it."""

    def connect():
        from . import log_handler

        log_handler.set_up(settings, channel, current)

    if "logging" in sys.modules:
        connect()
    else:
        sys.meta_path.insert(0, _WhenImported("logging", connect))


class _WhenImported:
    """Finds a module of Python's own library, and calls back as soon as its code has run; does so once."""

    def __init__(self, name, imported):
        self._name = name
        self._imported = imported

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        # The importlib package brings two more files with it; this is where it has that from.
        from _frozen_importlib_external import PathFinder

        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, [os.path.dirname(os.__file__)])
        execute = spec.loader.exec_module

        def execute_and_tell(module):
            execute(module)
            self._imported()

        spec.loader.exec_module = execute_and_tell
        return spec
