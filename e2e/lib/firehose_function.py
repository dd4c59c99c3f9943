"""A Lambda function for Firehose, as people write them. What a record holds decides what becomes of it."""
import base64
import json


def handler(event, context):
    assert event["deliveryStreamArn"].startswith("arn:aws:firehose:") and event["region"] and context.aws_request_id
    return {"records": [transform(r) for r in event["records"]]}


def transform(r):
    assert isinstance(r["approximateArrivalTimestamp"], int)
    try:
        body = json.loads(base64.b64decode(r["data"]))
    except ValueError:
        return {"recordId": r["recordId"], "result": "ProcessingFailed", "data": r["data"]}
    if body.get("probe"):
        return {"recordId": r["recordId"], "result": "Dropped", "data": r["data"]}
    body.pop("email", None)
    body["seen"] = True
    out = base64.b64encode((json.dumps(body) + "\n").encode()).decode()
    return {"recordId": r["recordId"], "result": "Ok", "data": out, "metadata": {"partitionKeys": {"customer": body["customer"]}}}
