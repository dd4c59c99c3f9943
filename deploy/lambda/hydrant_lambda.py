#!/usr/bin/env python3
"""Runs a Lambda function for Firehose, unchanged, as a process of Hydrant's: `exec: [python3, hydrant_lambda.py, MODULE.FUNCTION]`.

The module is looked for in this folder, the working directory and LAMBDA_TASK_ROOT. One invocation a line comes in on standard input, one answer a line
goes out on standard output; what the function prints goes to standard error. A function that raises ends the process: Hydrant starts another and asks
again, as Lambda would.
"""
import importlib
import json
import os
import sys
import time
import uuid


class Context:
    """What a function may ask of its invocation."""

    function_version, memory_limit_in_mb = "$LATEST", "0"
    log_group_name = log_stream_name = ""

    def __init__(self, name, request_id, seconds):
        self.function_name, self.aws_request_id = name, request_id
        self.invoked_function_arn = f"arn:aws:lambda:local:000000000000:function:{name}"
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self):
        return max(0, int((self._end - time.monotonic()) * 1000))


def main():
    module, _, function = sys.argv[1].rpartition(".")
    sys.path[:0] = [os.environ.get("LAMBDA_TASK_ROOT", os.getcwd()), os.getcwd()]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the function prints must not be taken for an answer
    handler = getattr(importlib.import_module(module), function)
    seconds = float(os.environ.get("HYDRANT_TIMEOUT_SECONDS", "300"))
    for line in sys.stdin:
        event = json.loads(line)
        answer = handler(event, Context(function, event.get("invocationId") or str(uuid.uuid4()), seconds))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
