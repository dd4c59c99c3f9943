"""Readers of a file that grows, is rotated and is moved away by others: one of our own that misses nothing, and GNU tail."""
import os
import subprocess
import threading

from harness import Failed, check, wait_for

CHUNK, PAUSE = 1 << 20, 0.002


class Follower:
    """Reads a file while it grows and, when it has another name, to its end and then the one after it. seen is every byte in the order read; nothing that was
    read may be taken back."""

    process = None  # a thread of this process: it ends with it

    def __init__(self, path):
        self.path, self.seen, self.files, self.error = path, bytearray(), 0, None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def end(self):
        """What was read up to the end of the newest file."""
        self.ending.set()
        self.thread.join()
        if self.error:
            raise self.error
        return bytes(self.seen)

    def _run(self):
        try:
            f = self._open(self.path)
            while f:
                f = self._follow(f)
        except (Failed, OSError) as e:  # raised again by end
            self.error = e

    def _open(self, path):
        while not self.ending.is_set():
            try:
                f = open(path, "rb", buffering=0)
                self.files += 1
                return f
            except FileNotFoundError:
                self.ending.wait(PAUSE)
        return None

    def _follow(self, f):
        """Reads until there is a newer file; returns it, or nothing at the end."""
        with f:
            while True:
                over, newer = self.ending.is_set(), self._newer(os.fstat(f.fileno()).st_ino)
                self._drain(f)
                if newer:
                    return self._open(newer)
                if over:
                    return None
                self.ending.wait(PAUSE)

    def _drain(self, f):
        while data := f.read(CHUNK):
            self.seen += data
        check(os.fstat(f.fileno()).st_size >= f.tell(), f"{self.path}: bytes that a reader had seen were taken back")

    def _newer(self, inode):
        """The path of the file after the one of this inode; None when it is the newest. The oldest files are renamed first, so that a file which has
        kept its name has kept the one after it, too."""
        if identity(self.path) in (inode, None):
            return None
        number = 1
        while (found := identity(f"{self.path}.{number}")) not in (inode, None):
            number += 1
        if found is None:
            return self.path if not self._rotating() else None  # somebody moved it away
        newer = f"{self.path}.{number - 1}" if number > 1 else self.path
        there = identity(newer)
        return newer if there and identity(f"{self.path}.{number}") == inode else None

    def _rotating(self):
        """Between two renames a number is free below one that is taken."""
        folder, name = os.path.split(self.path)
        taken = {int(n[len(name) + 1:]) for n in os.listdir(folder) if n.startswith(name + ".") and n[len(name) + 1:].isdecimal()}
        return taken != set(range(1, len(taken) + 1))


def identity(path):
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


class Tail:
    """GNU tail, which follows the name. It looks now and then: told by inotify, version 9.1 misses every second file of those that are rotated. A file
    that is rotated twice between two looks escapes it all the same."""

    def __init__(self, path, folder):
        self.out = os.path.join(folder, "tail.out")
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(["tail", "---disable-inotify", "-s", "0.05", "-n", "+1", "-F", path], stdout=out, stderr=subprocess.DEVNULL)

    def end(self, last):
        """Its lines, once the last one is among them."""
        wait_for("tail has seen the last line", lambda: last in self.lines()[-3:], 20)
        self.process.terminate()
        self.process.wait()
        return self.lines()

    def lines(self):
        with open(self.out, "rb") as f:
            return f.read().splitlines()
