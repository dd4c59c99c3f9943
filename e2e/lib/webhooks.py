"""329 real webhook payloads: deep nesting, fields of several types, nulls, big integers, unicode."""
import json
import os

import lake
from harness import CACHE, check

COUNT = 329
ID = "_record"  # added as the first key, so that each payload can be found again


def load():
    """The payloads as lines of JSON, each with its number."""
    with open(os.path.join(CACHE, "webhooks.json"), encoding="utf-8") as f:
        events = json.load(f)
    payloads = [p for e in events for p in e["examples"]]
    check(len(payloads) == COUNT, f"{len(payloads)} webhook payloads, expected {COUNT}")
    return [lake.dump({ID: n, **p}) for n, p in enumerate(payloads)]


USER = "struct<login:string,id:bigint,node_id:string,type:string,site_admin:boolean>"
REPOSITORY = (f"struct<id:bigint,full_name:string,private:boolean,owner:{USER},description:string,fork:boolean,created_at:string,"
              "pushed_at:timestamp,size:int,stargazers_count:int,topics:array<string>,license:struct<key:string,name:string>,"
              "custom_properties:string>")
LABEL = "struct<id:bigint,name:string,color:string,default:boolean>"
DECLARED = {  # by hand: what somebody who queries webhooks wants to have as columns
    ID: "bigint",
    "action": "string",
    "sender": USER,
    "repository": REPOSITORY,
    "installation": "struct<id:bigint,node_id:string,created_at:timestamp,events:array<string>,permissions:map<string,string>>",
    "organization": "struct<login:string,id:bigint>",
    "pull_request": f"struct<id:bigint,number:int,title:string,body:string,user:{USER},labels:array<{LABEL}>,created_at:timestamp,"
                    "merged_at:timestamp,additions:int,head:struct<ref:string,sha:string,repo:struct<id:bigint,full_name:string>>>",
    "issue": f"struct<id:bigint,number:int,title:string,user:{USER},labels:array<{LABEL}>,comments:int,closed_at:timestamp>",
    "commits": "array<struct<id:string,message:string,timestamp:timestamp,author:struct<name:string,email:string>,added:array<string>>>",
    "head_commit": "struct<id:string,distinct:boolean,author:map<string,string>>",
    "check_run": "struct<id:bigint,status:string,started_at:timestamp,completed_at:timestamp,output:struct<title:string,annotations_count:int>>",
    "changes": "string",
    "workflow": "struct<id:bigint,name:string,path:string>",  # some payloads have a string there: they do not fit
    "alert": "struct<number:int,created_at:string,dismissed_at:timestamp>",
    "package": "struct<id:bigint,name:string,package_version:struct<id:bigint,version:string,body:string>>",
    "ref": "string",
    "forced": "boolean",
}
