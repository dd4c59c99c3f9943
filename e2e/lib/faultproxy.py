"""A TCP proxy of this process in front of a port of this machine. It hands everything on until a fault is set, at any time, by the
test; a fault concerns the connections that are open and those to come, until it is healed."""
import collections
import dataclasses
import select
import socket
import struct
import threading
import time

CHUNK, MOST_WAITING, TICK, IDLE = 64 << 10, 128, 0.05, 1
UP, DOWN = "up", "down"  # to the server, to the client


@dataclasses.dataclass(frozen=True, eq=False)
class Faults:
    """latency: seconds that bytes take longer, in each direction. rate: bytes a second, in each direction.
    cut_up, cut_down: a connection ends after so many further bytes in that direction; 0: when the first comes, which is not handed on.
    half_open: connections are accepted, and nothing moves. refuse: the port is closed and connections end. reset: they end with RST,
    and so does a cut."""
    latency: float = 0.0
    rate: int = 0
    cut_up: int | None = None
    cut_down: int | None = None
    half_open: bool = False
    refuse: bool = False
    reset: bool = False

    def budget(self, direction):
        return self.cut_up if direction == UP else self.cut_down


class FaultProxy:
    """connections counts those accepted, cuts those that a cut ended, bytes what was handed on in each direction."""

    process = None  # threads of this process: they end with it

    def __init__(self, upstream_port):
        self.upstream_port, self.faults, self.cuts_left = upstream_port, Faults(), None
        self.changed, self.open, self.stopped = threading.Condition(), set(), False
        self.connections, self.cuts, self.bytes = 0, 0, {UP: 0, DOWN: 0}
        self.listener, self.reserved = None, bound(0)  # bound and never listening: while the port is closed nobody else takes it
        self.port = self.reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        self._listen()
        return self

    def stop(self):
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
        self._close_port()
        self._end_all(reset=False)
        self.reserved.close()

    def set(self, times=None, **faults):
        """Replaces the faults: set(latency=0.5, rate=1000). times: so many cuts, then no more: set(cut_down=0, times=1) lets one answer
        get lost. A cut with reset=True ends by RST and leaves connections alone until then."""
        new = Faults(**faults)
        with self.changed:
            self.faults, self.cuts_left = new, times
            self.changed.notify_all()
        if new.refuse:
            self._close_port()
        else:
            self._listen()
        if new.refuse or self._resets_at_once(new):
            self._end_all(new.reset)

    def heal(self):
        self.set()

    @staticmethod
    def _resets_at_once(faults):
        return faults.reset and faults.cut_up is None and faults.cut_down is None

    def _listen(self):
        if not self.listener:
            self.listener = bound(self.port)
            self.listener.listen(128)
            threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _close_port(self):
        """Shutting down wakes the thread that accepts, which closing does not."""
        if self.listener:
            shut(self.listener, socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        connection = Connection(client)
        with self.changed:
            self.connections += 1
            self.open.add(connection)
        try:
            faults = self._while_half_open()
            if self.stopped or faults.refuse or self._resets_at_once(faults):
                connection.end(faults.reset)
                return
            connection.dial(self.upstream_port)
            up = threading.Thread(target=self._pump, args=(connection, UP), daemon=True)
            up.start()
            self._pump(connection, DOWN)
            up.join()
        except OSError:
            pass  # no server there, or it ended
        finally:
            connection.end()
            connection.close()
            with self.changed:
                self.open.discard(connection)

    def _while_half_open(self):
        """Waits until the faults are others; returns them."""
        with self.changed:
            self.changed.wait_for(lambda: self.stopped or not self.faults.half_open)
            return self.faults

    def _pump(self, connection, direction):
        """Reads at once and hands on when it is due, so that latency delays bytes and does not make them fewer."""
        source, target = connection.ends(direction)
        waiting, seen, passed = collections.deque(), None, 0  # waiting: (when it was read, bytes); no bytes: the end
        try:
            while not (waiting and waiting[0][1] == b"" and self._due(waiting) <= 0):
                if not waiting or self._due(waiting) > 0:
                    self._read(connection, source, waiting)
                    continue
                faults, data = self._while_half_open(), waiting.popleft()[1]
                if faults is not seen:
                    seen, passed = faults, 0
                cut = self._takes_cut(faults.budget(direction), passed + len(data))
                self._hand_on(connection, direction, data[:faults.budget(direction) - passed] if cut else data)
                if cut:
                    connection.end(faults.reset)
                passed += len(data)
            connection.finish(target)
        except OSError:
            connection.end()  # one side broke: the other is to see it

    def _due(self, waiting):
        """In how many seconds the first that waits is to be handed on."""
        return waiting[0][0] + self.faults.latency - time.monotonic()

    def _read(self, connection, source, waiting):
        """Adds what comes before something is due; only waits when enough is waiting, or the end."""
        if connection.ended:
            raise OSError("ended")
        pause = min(TICK, max(0.001, self._due(waiting))) if waiting else IDLE
        if len(waiting) >= MOST_WAITING or waiting and waiting[-1][1] == b"":
            time.sleep(pause)
            return
        data = connection.receive(source, pause)
        if data is not None:
            waiting.append((time.monotonic(), data))

    def _takes_cut(self, budget, total):
        """Whether the connection is to be cut now; if so, it is counted."""
        if budget is None or total < budget:
            return False
        with self.changed:
            if self.cuts_left == 0:
                return False
            if self.cuts_left is not None:
                self.cuts_left -= 1
            self.cuts += 1
        return True

    def _hand_on(self, connection, direction, data):
        """At the rate of the moment, a tick's worth of bytes at a time."""
        _, target = connection.ends(direction)
        while data:
            rate = self.faults.rate
            size = max(1, int(rate * TICK)) if rate else len(data)
            sent = connection.send(target, data[:size])
            with self.changed:
                self.bytes[direction] += sent
            if rate:
                self._sleep(lambda f, sent=sent: sent / f.rate if f.rate else 0)
            data = data[sent:]

    def _sleep(self, seconds):
        """As long as the faults of the moment say; shorter when they are replaced meanwhile."""
        with self.changed:
            faults = self.faults
            if seconds(faults) > 0:
                self.changed.wait_for(lambda: self.stopped or self.faults is not faults, seconds(faults))

    def _end_all(self, reset):
        with self.changed:
            connections = list(self.open)
        for connection in connections:
            connection.end(reset)


class Connection:
    """The two sockets of one client. Any thread may end it; the one that serves it closes the sockets, when no other uses them."""

    def __init__(self, client):
        self.client, self.server, self.ended, self.lock = prepared(client), None, False, threading.Lock()

    def dial(self, port):
        server = prepared(socket.create_connection(("127.0.0.1", port), timeout=10))
        with self.lock:
            self.server = server
            if self.ended:  # while it was dialled
                raise OSError("ended")

    def ends(self, direction):
        return (self.client, self.server) if direction == UP else (self.server, self.client)

    def receive(self, sock, seconds):
        """None when nothing came in time, no bytes when the other side has finished."""
        readable, _, _ = select.select([sock], [], [], seconds)
        return sock.recv(CHUNK) if readable else None

    def send(self, sock, data):
        """Returns how many bytes were taken, at least one."""
        while not self.ended:
            try:
                return sock.send(data)
            except TimeoutError:
                pass  # a look at whether it has ended
        raise OSError("ended")

    def finish(self, target):
        """Tells the other side that no more comes."""
        with self.lock:
            if not self.ended:
                target.shutdown(socket.SHUT_WR)

    def end(self, reset=False):
        """Without reset, what was sent arrives, then the end. With it nothing is sent any more, and closing says RST."""
        with self.lock:
            if self.ended:
                return
            self.ended = True
            for sock in filter(None, (self.client, self.server)):
                if reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                shut(sock, socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def close(self):
        for sock in filter(None, (self.client, self.server)):
            sock.close()


def bound(port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def prepared(sock):
    sock.settimeout(1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def shut(sock, how):
    try:
        sock.shutdown(how)
    except OSError:
        pass  # the other side was faster
