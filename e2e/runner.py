"""Runs the cases, each in a process of its own with a time limit, and counts. `runner.py [NAME...]` runs only those."""
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
wanted, passed, failed = sys.argv[1:], 0, []
unknown = [w for w in wanted if not any(w in name for name, _, _ in CASES)]
if unknown:
    sys.exit(f"no such case: {unknown}; there are: {[c[0] for c in CASES]}")
for name, script, seconds in CASES:
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
