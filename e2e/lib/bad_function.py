"""A Lambda function that misbehaves as the environment says, on invocations that hold a record with "bad" in it."""
import base64
import json
import os
import time

import firehose_function

WAY = os.environ.get("WAY", "")
calls = 0


def handler(event, context):
    global calls
    calls += 1
    answer = firehose_function.handler(event, context)
    bodies = [base64.b64decode(r["data"]) for r in event["records"]]
    bad = [i for i, b in enumerate(bodies) if b'"bad"' in b]
    if WAY == "hangs on the third" and calls == 3:
        time.sleep(3600)
    if not bad:
        return answer
    records, i = answer["records"], bad[0]
    if WAY == "times out":
        time.sleep(3600)
    if WAY == "raises":
        raise ValueError("a record that must not be logged: " + bodies[i].decode())
    if WAY == "exits":
        os._exit(7)
    if WAY == "garbage":
        return "<html>" + "x" * 100
    if WAY == "no records":
        return {"statusCode": 200}
    if WAY == "drops an id":
        del records[i]
    if WAY == "repeats an id":
        records.append(records[i])
    if WAY == "invents an id":
        records[i]["recordId"] = "another"
    if WAY == "7 MB":
        records[i]["data"] = base64.b64encode(b"x" * 6_000_000).decode()
    if WAY == "no base64":
        records[i]["data"] = "%%%"
    if WAY == "lower case":
        records[i]["result"] = "ok"
    if WAY == "no data":
        records[i].pop("data")
    if WAY == "empty key":
        records[i]["metadata"] = {"partitionKeys": {"customer": ""}}
    return answer
