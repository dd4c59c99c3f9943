"""Policies of Index State Management, by their documented structure. The plugin itself is not part of the node that the cases start."""
import re

from harness import check

AGE, SIZE = r"\d+(d|h|m|s|ms|micros|nanos)", r"\d+(\.\d+)?(b|kb|mb|gb|tb|pb)"
POLICY = {"description": str, "default_state": str, "states": list, "ism_template": list, "error_notification": dict}
ACTIONS = {  # name: its parameters
    "rollover": {"min_size": SIZE, "min_primary_shard_size": SIZE, "min_index_age": AGE, "min_doc_count": int, "copy_alias": bool},
    "delete": {}, "read_only": {}, "read_write": {}, "open": {}, "close": {}, "force_merge": {"max_num_segments": int},
    "replica_count": {"number_of_replicas": int}, "index_priority": {"priority": int}}
CONDITIONS = {"min_index_age": AGE, "min_rollover_age": AGE, "min_doc_count": int, "min_size": SIZE}
RETRY = {"count": int, "backoff": r"exponential|constant|linear", "delay": AGE}


def shape(value, keys, where, need=()):
    """An object with these keys and no others; a text stands for a pattern."""
    check(isinstance(value, dict), f"{where} is no object")
    check(set(value) <= set(keys), f"{where}: {set(value) - set(keys)} is unknown")
    check(set(need) <= set(value), f"{where}: {set(need) - set(value)} is missing")
    for k, v in value.items():
        kind = keys[k]
        if isinstance(kind, str):
            check(isinstance(v, str) and re.fullmatch(kind, v), f"{where}.{k}: {v!r} does not fit {kind}")
        else:
            check(type(v) is kind and (kind is not int or v >= 0), f"{where}.{k}: {v!r} is no {kind.__name__}")


def state(s, names, where):
    shape(s, {"name": str, "actions": list, "transitions": list}, where, ("name", "actions", "transitions"))
    for n, action in enumerate(s["actions"]):
        at = f"{where}.actions[{n}]"
        kinds = set(action) - {"retry", "timeout"}
        check(len(kinds) == 1 and kinds <= set(ACTIONS), f"{at}: {kinds} is no action, or not one alone")
        kind, = kinds
        shape(action, {kind: dict, "retry": dict, "timeout": AGE}, at)
        shape(action[kind], ACTIONS[kind], f"{at}.{kind}")
        shape(action.get("retry", {}), RETRY, f"{at}.retry", ("count",) if "retry" in action else ())
    for n, t in enumerate(s["transitions"]):
        at = f"{where}.transitions[{n}]"
        shape(t, {"state_name": str, "conditions": dict}, at, ("state_name",))
        check(t["state_name"] in names, f"{at}: there is no state {t['state_name']}")
        shape(t.get("conditions", {}), CONDITIONS, f"{at}.conditions")
        check(len(t.get("conditions", {1: 1})) == 1, f"{at}: not exactly one condition")


def policy(document):
    """Fails unless this is a policy; returns its states by name."""
    shape(document, {"policy": dict}, "the document", ("policy",))
    p = document["policy"]
    shape(p, POLICY, "policy", ("description", "default_state", "states"))
    names = [s.get("name") for s in p["states"]]
    check(len(set(names)) == len(names) and p["default_state"] in names, f"states {names}, default {p['default_state']}")
    for s in p["states"]:
        state(s, names, f"policy.states[{s.get('name')}]")
    for n, t in enumerate(p.get("ism_template", [])):
        shape(t, {"index_patterns": list, "priority": int}, f"policy.ism_template[{n}]", ("index_patterns", "priority"))
        check(t["index_patterns"] and all(isinstance(i, str) for i in t["index_patterns"]), f"policy.ism_template[{n}]: patterns")
    states = {s["name"]: s for s in p["states"]}
    reached, todo = set(), [p["default_state"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [t["state_name"] for t in states[name]["transitions"]]
    check(reached == set(names), f"states that nothing leads to: {set(names) - reached}")
    return states
