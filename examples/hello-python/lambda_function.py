"""`mayfly deploy examples/hello-python`: the runtime and the handler are found by the file's name."""

import logging
import os

logging.getLogger().setLevel(logging.INFO)

# What stands here runs once for each sandbox; the handler runs once for each call.
calls = 0


def lambda_handler(event, context):
    global calls
    calls += 1
    name = (event or {}).get("name", "world")
    logging.info("greeting %s", name)
    return {
        "message": f"{os.environ.get('GREETING', 'Hello')}, {name}!",
        "version": context.function_version,
        "callsOfThisSandbox": calls,
    }
