"""The root logger's one handler: each record is one message, in Lambda's text or JSON form."""

import json
import logging
import time
import traceback

from .logs import LEVELS

_OWN_FIELDS = set(vars(logging.makeLogRecord({}))) | {"aws_request_id", "tenant_id", "message", "asctime", "taskName"}
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class LambdaHandler(logging.Handler):
    """Sends what is logged; `current()` gives the running request's id and tenant."""

    def __init__(self, channel, current):
        super().__init__()
        self._channel = channel
        self._current = current
        self.addFilter(self._name_request)

    def emit(self, record):
        try:
            text = self.format(record)
            self._channel.log(_level(record.levelno), record.created * 1000, record.aws_request_id, text.rstrip("\n"))
        except Exception:
            self.handleError(record)

    def _name_request(self, record):
        record.aws_request_id, record.tenant_id = self._current()
        return True


class JsonFormatter(logging.Formatter):
    def format(self, record):
        is_object = isinstance(record.msg, dict) and not record.args
        line = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.msg if is_object else record.getMessage(),
            "logger": record.name,
            "requestId": record.aws_request_id,
        }
        if record.exc_info and record.exc_info[0]:
            kind, error, trace = record.exc_info
            line["stackTrace"] = traceback.format_tb(trace)
            line["errorType"] = kind.__name__
            line["errorMessage"] = str(error)
            line["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        if record.tenant_id is not None:
            line["tenantId"] = record.tenant_id
        for key, value in vars(record).items():
            if key not in _OWN_FIELDS and key not in line:
                line[key] = value
        return _encode(line)


def set_up(settings, channel, current):
    logging.Formatter.converter = time.gmtime
    handler = LambdaHandler(channel, current)
    if settings["logFormat"] == "JSON":
        handler.setFormatter(JsonFormatter())
    else:
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    names = {"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}
    level = settings.get("logLevel")
    if level:
        root.setLevel(names.get(level, level))


def _level(number):
    for least, name in ((50, "FATAL"), (40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG")):
        if number >= least:
            return LEVELS[name]
    return LEVELS["TRACE"]
