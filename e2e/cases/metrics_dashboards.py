"""Metrics of CloudWatch and Prometheus in OpenSearch, set up by the commands of deploy/opensearch/README.md: every sample is there once,
and every panel of the shipped dashboard shows what Python computes from the source.
"""
import base64
import collections
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import aggregate
import dashboards
import ism
import lake
import metricpanels
import metricsamples as samples
from frontdoor import FrontDoor, form_file
from harness import BINARY, ROOT, Daemon, FileStore, check, running, wait_for, workspace
from opensearch import OpenSearch

DEPLOY = os.path.join(ROOT, "deploy", "opensearch")
GUIDE = os.path.join(ROOT, "docs", "opensearch-dashboards.md")
ADDRESS = "http://127.0.0.1:9200"  # of hydrant.yml
CLOUDWATCH, PROMETHEUS = "metrics-cloudwatch", "metrics-prometheus"
RATE = "params.to > params.from ? (params.high - params.low) * 1000 / (params.to - params.from) : 0"
SCRIPTS = {RATE: lambda p: (p["high"] - p["low"]) * 1000 / (p["to"] - p["from"]) if p["to"] > p["from"] else 0.0}
YESTERDAY = b'{"metric_name":"m","namespace":"N","dimensions":{},"timestamp":"yesterday","value":{"sum":1}}'
REFUSED = {  # what is sent beside the samples, and why it is set aside
    "cloudwatch": {b"plain text": "processing-failed", b'{"hello":1}': "AmazonOpenSearchService-failed", YESTERDAY: "AmazonOpenSearchService-failed"},
    "prometheus": {b'{"timestamp":"2026-03-10T10:00:00Z","value":"a lot","name":"up","labels":{}}': "AmazonOpenSearchService-failed"},
}


def deployed(name):
    with open(os.path.join(DEPLOY, name)) as f:
        return f.read()


def commands(page):
    """The blocks of shell commands of a page, without what sets addresses."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", page, re.M | re.S)
    return [line.strip() for b in blocks for line in b.splitlines() if not line.startswith("export ")]


def install(search):
    """Runs every command of README.md. Index State Management and Dashboards are not here: what they are sent is looked at."""
    door = FrontDoor(search, ("/_plugins/_ism/", "/api/saved_objects/"))
    try:
        for line in commands(deployed("README.md")):
            ran = subprocess.run(["bash", "-c", line], cwd=DEPLOY, env={**os.environ, "OPENSEARCH": door.url, "DASHBOARDS": door.url},
                                 capture_output=True, text=True, timeout=60)
            check(ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}")
    finally:
        door.stop()
    (put, policy, _, body), (post, objects, headers, form) = door.taken
    check((put, policy) == ("PUT", "/_plugins/_ism/policies/hydrant-metrics") and body.decode() == deployed("ism-policy.json"), f"{put} {policy}")
    check((post, objects) == ("POST", "/api/saved_objects/_import?overwrite=true") and headers["osd-xsrf"] == "true", f"{post} {objects}")
    check(form_file(headers, form) == ("file", deployed("dashboards.ndjson").encode()), "the file of the import is another one")
    streams = search.ask("GET", "/_data_stream")["data_streams"]
    check({(s["name"], s["template"]) for s in streams} == {(n, "hydrant-metrics") for n in (CLOUDWATCH, PROMETHEUS)}, f"{streams}")


def check_policy():
    states = ism.policy(json.loads(deployed("ism-policy.json")))
    hot, delete = states["hot"], states["delete"]
    check(list(states) == ["hot", "delete"] and "rollover" in hot["actions"][0] and "delete" in delete["actions"][0], f"{states}")
    check(hot["transitions"][0]["conditions"] == {"min_rollover_age": "30d"}, "not deleted 30 days after the rollover, as the page says")


def configured(folder, search):
    """A daemon with the shipped configuration; only the address of the cluster is another one."""
    daemon = Daemon(folder)
    text = deployed("hydrant.yml")
    check(text.count(ADDRESS) == 2, "the address does not stand twice in hydrant.yml")
    with open(daemon.config_path, "w") as f:
        f.write(text.replace(ADDRESS, search.url))
    return daemon


def put(daemon, records):
    """Records in batches, as Firehose's clients send them."""
    client = daemon.firehose()
    for at in range(0, len(records), 25):
        answer = client.put_record_batch(DeliveryStreamName="cloudwatch-metrics", Records=[{"Data": r} for r in records[at:at + 25]])
        check(answer["FailedPutCount"] == 0, f"FailedPutCount is {answer['FailedPutCount']}")


def send(daemon, rnd, cloudwatch, prometheus):
    """Everything, with a hard kill in the middle."""
    records = samples.records(rnd, cloudwatch) + list(REFUSED["cloudwatch"])
    rnd.shuffle(records)
    lines = [lake.dump(s) for s in prometheus] + list(REFUSED["prometheus"])
    half = len(records) // 2, len(lines) // 2
    put(daemon, records[:half[0]])
    lake.send(daemon, "prometheus-metrics", lines[:half[1]], 200_000)
    daemon.kill()
    daemon.start()
    put(daemon, records[half[0]:])
    lake.send(daemon, "prometheus-metrics", lines[half[1]:], 200_000)
    print(f"{len(cloudwatch)} samples in {len(records)} records, {len(prometheus)} samples in lines")


def comparable(doc):
    """A document as a text that is the same for the same values."""
    at = doc["@timestamp"]
    return json.dumps({**doc, "@timestamp": at if isinstance(at, int) else samples.milliseconds(at)}, sort_keys=True)


def check_documents(search, index, sent):
    """Each sample is a document, once, with the values computed here."""
    got = collections.Counter(map(comparable, search.documents(index).values()))
    want = collections.Counter(comparable(samples.document(s)) for s in sent)
    check(got == want, f"{index}: {got.total()} documents; missing {list((want - got).items())[:2]}, too many {list((got - want).items())[:2]}")


def check_refused(daemon):
    """What is no sample is set aside, once, with a reason."""
    store = FileStore(daemon.data_dir)
    for folder, want in REFUSED.items():
        got = []
        for key, body in store.objects("metrics-failed", folder + "/"):
            entries = [json.loads(line) for line in body.splitlines()]
            check(all(e["errorMessage"] for e in entries), f"{key}: set aside without a reason: {entries}")
            got += [(base64.b64decode(e["rawData"]).strip(), key.split("/")[1]) for e in entries]
        check(sorted(got) == sorted(want.items()), f"{folder}: set aside are {got}")


def mapping(search):
    """{field: type} of each data stream."""
    out = {}
    for name in (CLOUDWATCH, PROMETHEUS):
        index, = search.ask("GET", f"/{name}/_mapping").values()
        out[name] = dict(flat(index["mappings"]["properties"]))
    return out


def flat(properties, head=""):
    for name, p in properties.items():
        if "properties" in p:
            yield from flat(p["properties"], head + name + ".")
        else:
            yield head + name, p["type"]


def check_fields(search, objects, cloudwatch, prometheus):
    """What the index pattern and the panels name exists; labels are keywords, numbers double."""
    types = mapping(search)
    pattern = objects["index-pattern", "hydrant-metrics"]["attributes"]
    listed = {f["name"]: f["esTypes"] for f in json.loads(pattern["fields"])}
    for name, fields in types.items():
        check(all(listed[f] == [fields.get(f)] for f in listed), f"{name}: the index pattern says {listed}, the mapping {fields}")
        check(set(fields.values()) == {"date", "double", "keyword"} and [f for f in fields if fields[f] == "date"] == ["@timestamp"], f"{name}: {fields}")
    for name, sent in ((CLOUDWATCH, cloudwatch), (PROMETHEUS, prometheus)):
        labels = {"labels." + k for s in sent for k in samples.document(s)["labels"]}
        check(labels and all(types[name].get(k) == "keyword" for k in labels), f"{name}: labels {labels} in {types[name]}")
    return set(listed)


def check_panels(search, cloudwatch, prometheus, listed, objects):
    """Every visualization of the dashboard, over the two hours: its own search, the same search in Python, and what it is meant to show."""
    docs, meant = [samples.document(s) for s in cloudwatch + prometheus], metricpanels.expected(cloudwatch, prometheus)
    when = dashboards.Range(samples.START, samples.END - 1)
    shown, computed = dashboards.panels(objects, "hydrant-metrics-overview"), aggregate.Computed(SCRIPTS)
    for vis in shown:
        index, body = dashboards.search(vis, objects, when)
        check(index == "metrics-*" and dashboards.fields(body) <= listed, f"{vis['id']} searches {index}: {dashboards.fields(body) - listed}")
        found = [d for d in docs if aggregate.matches(body["query"], d)]
        answer = search.search(index, **body)
        title = vis["attributes"]["title"]
        check(answer["hits"]["total"]["value"] == len(found) > 0, f"{title}: {answer['hits']['total']} documents instead of {len(found)}")
        got = answer["aggregations"]
        values, telling = aggregate.compare(computed.answer(body["aggs"], found), got, title)
        check(telling > values / 2, f"{title}: only {telling} of {values} values tell anything")
        wrong = metricpanels.differences(got, meant.pop(vis["id"]))
        check(not wrong, f"{title}: {len(wrong)} rows differ: {wrong[:3]}")
        print(f"  {title}: {len(found)} documents, {values} values")
    of_file = {o["id"] for (kind, _), o in objects.items() if kind == "visualization"}
    check({v["id"] for v in shown} == of_file, f"not shown: {of_file - {v['id'] for v in shown}}")
    check(not meant, f"panels that are not there: {list(meant)}")
    check(computed.run == set(SCRIPTS), f"scripts that ran: {computed.run}")


def guide_blocks():
    """The page's own example: {name: text}."""
    with open(GUIDE) as f:
        return dict(re.findall(r"`([\w.]+)`:\n\n```json\n(.*?)```", f.read(), re.S))


def check_guide(daemon, search, folder):
    """The example of the guide: what is sent becomes what the page shows."""
    blocks = guide_blocks()
    path = os.path.join(folder, "sample.ndjson")
    with open(path, "w") as f:
        f.write(blocks["sample.ndjson"])
    env = {**os.environ, **daemon.env, "HYDRANT_ENDPOINT": daemon.url}
    subprocess.run([BINARY, "put", "cloudwatch-metrics", path], env=env, check=True, timeout=60, stdout=subprocess.DEVNULL)
    want, sent = json.loads(blocks["document.json"]), json.loads(blocks["sample.ndjson"])
    at = {"term": {"@timestamp": want["@timestamp"]}}
    wait_for("the example is there", lambda: search.count(CLOUDWATCH, at), 60, every=0.5)
    hit, = search.search(CLOUDWATCH, query=at)["hits"]["hits"]
    check(comparable(hit["_source"]) == comparable(want) == comparable(samples.document(sent)), f"{hit['_source']} instead of {want}")


def main():
    check_policy()
    objects, rnd = dashboards.load(os.path.join(DEPLOY, "dashboards.ndjson")), samples.seeded()
    cloudwatch, prometheus = samples.cloudwatch(rnd), samples.prometheus(rnd)
    with workspace("metrics-dashboards") as folder:
        search = OpenSearch(folder)
        daemon = configured(folder, search)
        with running(daemon, search):
            install(search.start())
            daemon.start()
            send(daemon, rnd, cloudwatch, prometheus)
            wait_for("every sample is delivered", lambda: lake.waiting(daemon) == 0, 120, every=0.5)
            check_documents(search, CLOUDWATCH, cloudwatch)
            check_documents(search, PROMETHEUS, prometheus)
            listed = check_fields(search, objects, cloudwatch, prometheus)
            check_panels(search, cloudwatch, prometheus, listed, objects)
            check_guide(daemon, search, folder)
            daemon.stop()
            check_refused(daemon)
    print(f"{len(cloudwatch) + len(prometheus)} samples are there once, {sum(map(len, REFUSED.values()))} records were set aside")


main()
