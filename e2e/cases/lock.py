"""A second daemon on the same data directory is refused, with the holder's name, and does no harm."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from harness import Daemon, check, running, s3_stream, wait_for, workspace

with workspace("lock") as folder:
    first = Daemon(folder, [s3_stream("a", "lake", interval="900s")])
    os.mkdir(os.path.join(folder, "second"))
    second = Daemon(os.path.join(folder, "second"), [s3_stream("a", "lake")], data_dir=first.data_dir)
    with running(first, second):
        first.start()
        check(first.v1("a", b"kept\n")[0] == 200, "the put failed")
        second.spawn()
        wait_for("the second daemon ends", lambda: not second.process.alive(), 20)
        check(second.process.proc.returncode != 0, "the second daemon ended with 0")
        log = second.process.log()
        check(str(first.process.pid) in log and first.data_dir in log, f"the refusal does not name holder and folder: {log}")
        check(first.v1("a", b"and kept\n")[0] == 200, "the first daemon suffered")
        first.stop()
        second.start()  # the folder is free now
        second.stop()
