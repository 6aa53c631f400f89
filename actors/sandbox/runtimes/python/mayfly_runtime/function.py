"""Turns this process into the function that the init frame describes, and answers its events."""

import builtins
import os
import sys
import time

from . import logs, values
from .channel import MAX_PAYLOAD_BYTES, out_of_the_way
from .doorbell import Doorbell

_NAME = "python%d.%d" % sys.version_info[:2]


_spare = None


def _rest():
    """What only a first event or a failure needs: it is found also where the function holds all descriptors it may have."""
    global _spare
    spare, _spare = _spare, None
    if spare is not None:
        try:
            os.close(spare)
        except OSError:
            pass
    from . import context, failures

    return context, failures


class Function:
    def __init__(self, channel, settings):
        self._channel = channel
        self._settings = settings
        self._request_id = ""
        self._tenant_id = None
        self._encode = _make_encoder()
        self._handler = None

    def begin(self, is_hosted):
        """Loads the handler and says so; ends the process when that fails. A host serves Lambda's APIs itself."""
        global _spare
        settings = self._settings
        _spare = out_of_the_way(os.open(os.devnull, os.O_RDONLY))
        bell = None if is_hosted else self._listen()
        os.chdir(settings["taskRoot"])
        _search_paths(settings["taskRoot"])
        sys.stdout.reconfigure(line_buffering=True)
        logs.set_up(settings, self._channel, lambda: (self._request_id, self._tenant_id))
        try:
            self._handler = _load(settings["handler"])
        except Exception as error:
            body = self._told(error)
            self._channel.init_error(body["errorType"], values.write(body).encode())
            sys.exit(1)
        _flush()
        if bell is not None:
            bell.close()
        self._channel.ready()
        # Nobody waits for it now.
        _rest()

    def _listen(self):
        try:
            bell = Doorbell(self._settings.get("runtimeApi", "127.0.0.1:9001"), self._channel.host_wanted)
        except OSError:
            return None
        os.environ["AWS_LAMBDA_RUNTIME_API"] = bell.address
        return bell

    def serve(self, frame):
        """Answers one event. What isn't an Exception, such as SystemExit, goes through: it ends the process."""
        header_end = 4 + int.from_bytes(frame[:4], "big")
        header = values.parse(frame[4:header_end])
        request_id = self._request_id = header["requestId"]
        self._tenant_id = header.get("tenantId")
        _set_trace(header.get("traceId"))
        try:
            event = _parse(frame[header_end:], "Runtime.UnmarshalError", "Unable to unmarshal input: %s")
            result = self._handler(event, self._context(header))
            content_type, payload = self._marshal(result)
        except Exception as error:
            body = self._told(error)
            _flush()
            self._channel.error(request_id, body["errorType"], values.write(body).encode())
            return
        _flush()
        if len(payload) > MAX_PAYLOAD_BYTES:
            self._refuse_size(request_id)
        else:
            self._channel.response(request_id, content_type, payload)

    def _context(self, header):
        bad = "Runtime.LambdaContextUnmarshalError"
        client, identity = header.get("clientContext"), header.get("cognitoIdentity")
        return _rest()[0].LambdaContext(
            header,
            None if client is None else _parse(client, bad, "Unable to parse Client Context JSON: %s"),
            {} if identity is None else _parse(identity, bad, "Unable to parse Cognito Identity JSON: %s"),
            lambda text: self._channel.log(0, time.time() * 1000, self._request_id, text.rstrip("\n")),
        )

    def _marshal(self, result):
        if isinstance(result, bytes):
            return "application/unknown", result
        try:
            return "", self._encode(result).encode()
        except Exception as error:
            raise _failure("Runtime.MarshalError", "Unable to marshal response: %s" % error) from None

    def _refuse_size(self, request_id):
        kind = "Function.ResponseSizeTooLarge"
        message = "Response payload size exceeded maximum allowed payload size (%d bytes)." % MAX_PAYLOAD_BYTES
        self._channel.error(request_id, kind, values.write({"errorMessage": message, "errorType": kind}).encode())

    def _told(self, error):
        """What the caller is told of it, once the log has been."""
        failures = _rest()[1]
        body = failures.error_body(error, self._request_id)
        now = time.time()
        if self._settings["logFormat"] == "JSON":
            timestamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
            text = values.write_unescaped({"timestamp": timestamp, "level": "ERROR", **body})
        else:
            text = failures.error_text(body)
        self._channel.log(logs.LEVELS["ERROR"], now * 1000, self._request_id, text)
        return body


def _flush():
    """What was printed comes before the answer; a function may have put anything in stdout's place."""
    try:
        sys.stdout.flush()
    except Exception:
        pass


def _search_paths(task_root):
    """The function first, then its layers, then the runtime, then Python's own library."""
    given = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path]
    layers = ["/opt/python/lib/%s/site-packages" % _NAME, "/opt/python"]
    first = [task_root] + layers + given
    sys.path[:] = list(dict.fromkeys(first + sys.path))
    if not hasattr(builtins, "exit"):
        import site

        site.setquit()


def _load(name):
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        reason = "not enough values to unpack (expected 2, got 1)"
        raise _failure("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, reason))
    if module_name.split(".")[0] in sys.builtin_module_names:
        message = "Cannot use built-in module %s as a handler module" % module_name
        raise _failure("Runtime.BuiltInModuleConflict", message)
    try:
        module = _import(module_name.replace("/", "."))
    except ImportError as error:
        message = "Unable to import module '%s': %s" % (module_name, error)
        raise _failure("Runtime.ImportModuleError", message) from error
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        message = "Syntax error in module '%s': %s" % (module_name, error)
        raise _failure("Runtime.UserCodeSyntaxError", message, trace) from error
    handler = getattr(module, function_name, None)
    if handler is None:
        message = "Handler '%s' missing on module '%s'" % (function_name, module_name)
        raise _failure("Runtime.HandlerNotFound", message)
    return handler


def _import(name):
    """As importlib.import_module, which costs a fresh interpreter two more files."""
    __import__(name)
    return sys.modules[name]


def _failure(error_type, message, trace=()):
    return _rest()[1].RuntimeFailure(error_type, message, trace)


def _parse(text, error_type, message):
    try:
        return values.parse(text)
    except Exception as error:
        raise _failure(error_type, message % error) from None


def _set_trace(trace_id):
    if trace_id is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    elif os.environ.get("_X_AMZN_TRACE_ID") != trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id


def _make_encoder():
    """Lambda writes other alphabets as they are since Python 3.12, and escaped before."""

    def number(value):
        # Not imported here: without that module there is no such number.
        decimal = sys.modules.get("decimal")
        if decimal is not None and isinstance(value, decimal.Decimal):
            return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)

    return values.make_writer(number, ascii_only=sys.version_info < (3, 12))
