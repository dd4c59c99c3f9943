"""Runs the cases, each in a process of its own with a time limit, and counts. `runner.py [NAME...]` runs only those;
`runner.py --gate` runs those of the release gate, which need much memory and are not part of every run."""
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [  # name, script and arguments, seconds
    ("quickstart", ["quickstart.py"], 150),
    ("flights-api-s3", ["main_job.py", "api", "s3"], 300),
    ("flights-api-file", ["main_job.py", "api", "file"], 300),
    ("flights-http-s3", ["main_job.py", "http", "s3"], 300),
    ("flights-http-file", ["main_job.py", "http", "file"], 300),
    ("aws-cli", ["cli.py"], 300),
    ("compression", ["compression.py"], 180),
    ("backlog-full", ["backlog_full.py"], 300),
    ("bad-input", ["bad_input.py"], 240),
    ("lock", ["lock.py"], 120),
    ("fresh-kill", ["fresh_kill.py"], 300),
    ("many-streams", ["many_streams.py"], 600),
    ("codecs-java", ["codecs_java.py"], 180),
    ("parquet-flights", ["parquet_flights.py"], 240),
    ("parquet-webhooks", ["parquet_webhooks.py"], 180),
    ("parquet-errors", ["parquet_errors.py"], 120),
    ("parquet-property", ["parquet_property.py"], 300),
    ("processors", ["processors.py"], 120),
    ("lambda-contract", ["lambda_contract.py"], 240),
    ("lambda-faults", ["lambda_faults.py"], 240),
    ("dedupe", ["dedupe.py"], 180),
    ("redact-pii", ["redact_pii.py"], 120),
    ("partitions-s3", ["partitions.py", "s3"], 240),
    ("partitions-file", ["partitions.py", "file"], 240),
    ("many-partitions-json", ["many_partitions.py", "json"], 300),
    ("many-partitions-parquet", ["many_partitions.py", "parquet"], 300),
    ("metrics-dashboards", ["metrics_dashboards.py"], 300),
    ("opensearch-flights", ["opensearch_flights.py"], 300),
    ("opensearch-faults", ["opensearch_faults.py"], 400),
    ("opensearch-data-stream", ["opensearch_data_stream.py"], 240),
    ("opensearch-auth", ["opensearch_auth.py"], 240),
    ("opensearch-stuck", ["opensearch_stuck.py"], 300),
    ("opensearch-backup", ["opensearch_backup.py"], 240),
    ("opensearch-replay", ["opensearch_replay.py"], 240),
    ("http-endpoint", ["http_endpoint.py"], 300),
    ("http-plain", ["http_plain.py"], 240),
    ("splunk-hec", ["splunk_hec.py"], 300),
    ("hydrant-to-hydrant", ["hydrant_to_hydrant.py"], 300),
    ("file-sink", ["file_sink.py"], 240),
    ("file-follow", ["file_follow.py"], 240),
    ("receiver", ["receiver.py"], 180),
    ("redshift-flights", ["redshift_flights.py"], 180),
    ("redshift-faults", ["redshift_faults.py"], 240),
    ("redshift-data-api", ["redshift_data_api.py"], 240),
    ("redshift-gives-up", ["redshift_gives_up.py"], 180),
    ("postgres-plain", ["redshift_postgres_plain.py"], 180),
]
GATE = [
    ("trino-reads", ["trino_reads.py"], 900),
]


def run(script, seconds):
    """(passed, output). What the case leaves behind dies with its process group."""
    p = subprocess.Popen([sys.executable, os.path.join(HERE, "cases", script[0]), *script[1:]], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    running.append(p)
    try:
        out, _ = p.communicate(timeout=seconds)
        return p.returncode == 0, out
    except subprocess.TimeoutExpired:
        end(p)
        return False, p.communicate()[0] + f"\nnot done after {seconds} s"
    finally:
        end(p)
        running.remove(p)


def end(p):
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def interrupted(signum, _):
    for p in running:
        end(p)
    sys.exit(128 + signum)


running = []
signal.signal(signal.SIGTERM, interrupted)
signal.signal(signal.SIGINT, interrupted)
cases = GATE if "--gate" in sys.argv else CASES
wanted, passed, failed = [w for w in sys.argv[1:] if w != "--gate"], 0, []
unknown = [w for w in wanted if not any(w in name for name, _, _ in cases)]
if unknown:
    sys.exit(f"no such case: {unknown}; there are: {[c[0] for c in cases]}")
for name, script, seconds in cases:
    if wanted and not any(w in name for w in wanted):
        continue
    t0 = time.monotonic()
    ok, out = run(script, seconds)
    print(f"{'ok  ' if ok else 'FAIL'} {name} ({time.monotonic() - t0:.1f} s)", flush=True)
    for line in (out.strip().splitlines() if out.strip() else [])[-60:]:
        print("     " + line, flush=True)
    passed += ok
    if not ok:
        failed.append(name)
if failed:
    print("failed: " + "; ".join(failed))
print(f"{passed} passed, {len(failed)} failed")
sys.exit(1 if failed else 0)
