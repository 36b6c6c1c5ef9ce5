# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A peer that speaks the stream but not the protocol: it stands between two engines, takes frames apart and puts them
together with checks that agree, and drops, repeats, swaps, forges or invents one."""
import ctypes, ctypes.util, select, socket, struct

from proxy import Relay

HEADER = struct.Struct("<IHHIIQQQQ")
TYPES = {name: number for number, name in enumerate(
    "OFFER ACCEPT REFUSE CONTEXT END STAGED LOADED RELEASE ACTIVE REFUSED DONE ABORT QUERY STATE PING PONG".split(), 1)}
FORWARD = ("OFFER", "CONTEXT", "END", "RELEASE", "DONE")
BACK = ("ACCEPT", "STAGED", "LOADED", "ACTIVE", "STATE")

xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
xxhash.XXH3_64bits_withSeed.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64)


def check(data, seed=0):
    return xxhash.XXH3_64bits_withSeed(data, len(data), seed)


class Way:
    """One direction: bytes in, frames out with numbers and checks of our own."""

    def __init__(self):
        self.data, self.sequence = b"", 0

    def frames(self, data):
        self.data += data
        while len(self.data) >= HEADER.size:
            _, version, kind, lane, length, _, aux, _, _ = HEADER.unpack_from(self.data)
            if len(self.data) < HEADER.size + length:
                break
            body = self.data[HEADER.size:HEADER.size + length]
            self.data = self.data[HEADER.size + length:]
            yield kind, lane, aux, body

    def pack(self, frame):
        kind, lane, aux, body = frame
        head = HEADER.pack(0x59524656, 1, kind, lane, len(body), self.sequence, aux,
                           check(body, self.sequence) if body else 0, 0)[:40]
        self.sequence += 1
        return head + struct.pack("<Q", check(head)) + body


class Peer(Relay):
    """@deed: drop, twice, swap, foreign, garbage, short, or a type's name to say it before; at the @at-th @kind on @way."""

    def __init__(self, port, deed, way, kind, at=1):
        self.deed, self.way, self.kind, self.at = deed, way, TYPES[kind], at
        self.seen, self.held = 0, None
        super().__init__(port)

    def change(self, frame):
        """The frames to send instead of one."""
        if self.held:
            frames, self.held = [frame, self.held], None
            return frames
        if frame[0] != self.kind or self.met:
            return [frame]
        self.seen += 1
        if self.seen != self.at:
            return [frame]
        self.met = True
        kind, lane, aux, body = frame
        if self.deed == "drop":
            return []
        if self.deed == "twice":
            return [frame, frame]
        if self.deed == "swap":
            self.held = frame
            return []
        if self.deed == "foreign":
            if kind == TYPES["OFFER"]:  # an id that somebody else draws
                return [(kind, lane + 7, aux, body)]
            return [(kind, lane, aux + 8, body)] if kind == TYPES["CONTEXT"] else [(kind, lane, aux, bytes(16) + body[16:])]
        if self.deed == "garbage":
            return [(kind, lane, aux, bytes(byte ^ 0x5a for byte in body))]
        if self.deed == "short":
            return [(kind, lane, aux, body[:-4])]
        return [(TYPES[self.deed], lane, 0, body if len(body) == 64 else body[:64].ljust(64, b"\0")), frame]

    def pump(self, client, server):
        ends = {client: (server, "forward", Way()), server: (client, "back", Way())}
        left = set(ends)
        try:
            while left and not self.over.is_set():
                for end in select.select(list(left), [], [], 0.1)[0]:
                    other, name, way = ends[end]
                    data = end.recv(1 << 20)
                    if not data:
                        left.discard(end)
                        other.shutdown(socket.SHUT_WR)
                        continue
                    for frame in way.frames(data):
                        for one in self.change(frame) if name == self.way else [frame]:
                            other.sendall(way.pack(one))
        except OSError:
            pass
        finally:
            client.close()
            server.close()


DEEDS = ("drop", "twice", "swap", "foreign", "garbage", "short")
# Said where it has no place. (RELEASE after LOADED, or ACTIVE after RELEASE, by a peer that lies, cannot be told from the truth.)
MISPLACED = [("forward", kind, word) for kind, words in (("CONTEXT", ("RELEASE", "DONE", "ACCEPT", "ACTIVE", "END", "PONG")),
                                                         ("END", ("RELEASE", "DONE", "OFFER", "LOADED")),
                                                         ("OFFER", ("CONTEXT", "END", "RELEASE", "DONE"))) for word in words]
MISPLACED += [("back", kind, word) for kind, words in (("ACCEPT", ("LOADED", "ACTIVE", "STAGED", "DONE", "STATE", "REFUSED")),
                                                       ("STAGED", ("ACTIVE", "REFUSED", "ACCEPT", "OFFER")),
                                                       ("LOADED", ("ACTIVE", "ACCEPT", "RELEASE", "STATE"))) for word in words]


def every():
    return ([(way, kind, deed) for way, kinds in (("forward", FORWARD), ("back", BACK)) for kind in kinds for deed in DEEDS]
            + MISPLACED)
