# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A TCP proxy that cuts at a byte, delays, or stalls for ever."""
import contextlib, select, socket, threading, time


class Relay:
    """Takes connections for the one who listens at @port, each in a thread of its own: pump() of who inherits."""

    def __init__(self, port):
        self.port = port
        self.met = False
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.address = f"tcp:127.0.0.1:{self.listener.getsockname()[1]}"
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.over.is_set():
            if not select.select([self.listener], [], [], 0.1)[0]:
                continue
            with contextlib.suppress(OSError):
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port), 2)
                threading.Thread(target=self.pump, args=(client, server), daemon=True).start()

    def end(self):
        self.over.set()
        self.thread.join(5)
        self.listener.close()


class Proxy(Relay):
    """@kind: cut, reset, stall, delay, flip; at byte @at of the stream @way ("forward" is source to destination)."""

    def __init__(self, port, kind, way, at):
        self.kind, self.way, self.at = kind, way, at
        super().__init__(port)

    def pump(self, client, server):
        ends = {client: (server, "forward"), server: (client, "back")}
        passed = {"forward": 0, "back": 0}
        open_ends = set(ends)
        try:
            while open_ends and not self.over.is_set():
                for end in select.select(list(open_ends), [], [], 0.1)[0]:
                    other, way = ends[end]
                    data = end.recv(65536)
                    if not data:
                        open_ends.discard(end)
                        other.shutdown(socket.SHUT_WR)
                        continue
                    if way == self.way and not self.met and passed[way] + len(data) > self.at:
                        here = self.at - passed[way]
                        self.met = True
                        if self.kind in ("cut", "reset"):
                            other.sendall(data[:here])
                            if self.kind == "reset":
                                for one in (client, server):
                                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                            return
                        if self.kind == "stall":
                            other.sendall(data[:here])
                            self.over.wait()
                            return
                        if self.kind == "delay":
                            other.sendall(data[:here])
                            time.sleep(0.5)
                            data = data[here:]
                        if self.kind == "flip":
                            data = data[:here] + bytes([data[here] ^ 0x10]) + data[here + 1:]
                    passed[way] += len(data)
                    other.sendall(data)
        except OSError:
            pass
        finally:
            client.close()
            server.close()
