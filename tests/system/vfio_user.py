# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A raw vfio-user client, a guest's memory and a very small virtio-blk driver, for tests of vferry-owner."""
import array, json, mmap, os, signal, socket, struct, subprocess, time

LIMIT = 60  # seconds for anything to happen; generous, nothing here measures time
VERSION, DMA_MAP, DMA_UNMAP, INFO, REGION_INFO, IO_FDS, IRQ_INFO, SET_IRQS, READ, WRITE = range(1, 11)
RESET, WRITE_MULTI = 13, 15
ERROR = 0x20
HELLO = struct.pack("<HH", 0, 0) + b'{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576}}\0'


class Closed(Exception):
    pass


class Refused(Exception):
    pass


class Client:
    def __init__(self, path, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)
        end = time.monotonic() + LIMIT
        while True:
            try:
                self.sock.connect(path)
                break
            except BlockingIOError:  # the backlog is full: the server has not come to it yet
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)
        self.ident = 0
        self.fds = []
        if hello:
            self.hello = self.call(VERSION, HELLO)

    def close(self):
        self.sock.close()

    def exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                chunk, ancillary, _, _ = self.sock.recvmsg(size - len(data), socket.CMSG_SPACE(64))
            except (ConnectionResetError, BrokenPipeError):
                raise Closed
            if not chunk:
                raise Closed
            for _, _, raw in ancillary:
                self.fds += array.array("i", raw)
            data += chunk
        return data

    def send(self, command, body=b"", fds=(), size=None, flags=0):
        self.ident = (self.ident + 1) & 0xFFFF
        size = 16 + len(body) if size is None else size
        data = struct.pack("<HHIII", self.ident, command, size, flags, 0) + body
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            sent = self.sock.sendmsg([data], ancillary)
            while sent < len(data):
                sent += self.sock.send(data[sent:])
        except (BrokenPipeError, ConnectionResetError):
            raise Closed

    def reply(self):
        ident, command, size, flags, error = struct.unpack("<HHIII", self.exactly(16))
        body = self.exactly(size - 16)
        assert flags & 0xF == 1, f"not a reply: flags {flags:#x}"
        assert ident == self.ident, f"reply to {ident}, not to {self.ident}"
        if flags & ERROR:
            raise Refused(error)
        return body

    def call(self, command, body=b"", fds=(), **more):
        self.send(command, body, fds, **more)
        return self.reply()

    def read(self, region, offset, count):
        body = self.call(READ, struct.pack("<QII", offset, region, count))
        return body[16:]

    def write(self, region, offset, data):
        self.call(WRITE, struct.pack("<QII", offset, region, len(data)) + data)

    def get(self, offset, form):
        return struct.unpack(form, self.read(0, offset, struct.calcsize(form)))[0]

    def put(self, offset, form, value):
        self.write(0, offset, struct.pack(form, value))


def refused(call, *args, **more):
    try:
        call(*args, **more)
    except Refused as e:
        return e.args[0]
    raise AssertionError("it was not refused")


def refused_or_closed(call, *args, **more):
    try:
        call(*args, **more)
    except (Refused, Closed):
        return
    raise AssertionError("it was neither refused nor closed")


class Owner:
    def __init__(self, *options):
        self.dir = os.path.join(os.environ["TMPDIR"], f"o{Owner.count}")
        Owner.count += 1
        program = os.path.join(os.environ["VFERRY_BUILD"], "vferry-owner")
        self.process = subprocess.Popen([program, "--socket-dir", self.dir, "-o", "json", *options],
                                        stdout=subprocess.PIPE, text=True)
        self.ready = json.loads(self.process.stdout.readline())

    count = 0

    def path(self, vf):
        return self.ready["vfs"][vf - 1] if vf else self.ready["pf"]

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def settled_fds(self, most, limit=LIMIT):
        """Descriptors of dead connections go with a later turn of the loop: wait for that."""
        end = time.monotonic() + limit
        while self.fds() > most and time.monotonic() < end:
            time.sleep(0.02)
        return self.fds()

    def alive(self):
        assert self.process.poll() is None, f"the owner ended with {self.process.returncode}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT)
        self.process.stdout.close()
        assert code == 0, f"exit {code}"
        assert not [n for n in os.listdir(self.dir) if n.endswith(".sock")], "sockets are left behind"


class Memory:
    """A guest's memory in a memfd, mapped into the device at @iova."""

    def __init__(self, client, size=1 << 20, iova=0x100000):
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, size)
        self.view = mmap.mmap(self.fd, size)
        self.iova, self.size = iova, size
        self.attach(client)

    def attach(self, client):
        client.call(DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, self.iova, self.size), [self.fd])

    def close(self):
        self.view.close()
        os.close(self.fd)


class Blk:
    """A very small virtio-blk driver: one queue, one request at a time."""
    REQUIRED = 1 << 32 | 1 << 33
    SIZE = 8

    def __init__(self, client, memory, extra=0, queue=0):
        self.client, self.memory, self.queue = client, memory, queue
        c = client
        c.put(20, "<B", 0)
        assert c.get(20, "<B") == 0
        c.put(20, "<B", 1)
        c.put(20, "<B", 3)
        for word in range(2):
            c.put(8, "<I", word)
            c.put(12, "<I", (self.REQUIRED | extra) >> 32 * word & 0xFFFFFFFF)
        c.put(20, "<B", 11)
        assert c.get(20, "<B") == 11, "FEATURES_OK was refused"
        self.enable()
        c.put(20, "<B", 15)

    def enable(self):
        c, base = self.client, self.memory.iova + self.queue * 0x8000
        self.next = self.seen = 0
        self.memory.view[self.at(0) : self.at(0x3000)] = bytes(0x3000)
        c.put(0x16, "<H", self.queue)
        c.put(0x18, "<H", self.SIZE)
        c.put(0x1A, "<H", 1 + self.queue)
        c.put(0x20, "<Q", base)
        c.put(0x28, "<Q", base + 0x1000)
        c.put(0x30, "<Q", base + 0x2000)
        c.put(0x1C, "<H", 1)
        assert c.get(0x1C, "<H") == 1

    def at(self, offset):
        return self.queue * 0x8000 + offset

    def post(self, kind, sector, data=b"", room=0):
        """Makes one request available without ringing the doorbell."""
        m, base = self.memory, self.memory.iova
        slot = self.next % 2
        buffers = 0x40000 + slot * 0x20000
        struct.pack_into("<IIQ", m.view, self.at(0x3000) + slot * 32, kind, 0, sector)
        m.view[self.at(0x3100) + slot] = 0xFF
        m.view[buffers : buffers + len(data)] = data
        middle = (base + buffers, len(data) or room, (2 if room else 0) | 1, 3 * slot + 2)
        first = 3 * slot
        entries = [(base + self.at(0x3000) + slot * 32, 16, 1, first + 1), middle, (base + self.at(0x3100) + slot, 1, 2, 0)]
        if not data and not room:
            entries = [(entries[0][0], 16, 1, first + 1), entries[2]]
        for i, entry in enumerate(entries):
            struct.pack_into("<QIHH", m.view, self.at(0) + 16 * (first + i), *entry)
        struct.pack_into("<H", m.view, self.at(0x1004) + 2 * (self.next % self.SIZE), first)
        self.next = (self.next + 1) & 0xFFFF
        struct.pack_into("<H", m.view, self.at(0x1002), self.next)
        return slot, buffers

    def used(self):
        return struct.unpack_from("<H", self.memory.view, self.at(0x2002))[0]

    def wait(self):
        end = time.monotonic() + LIMIT
        while self.used() == self.seen:
            assert time.monotonic() < end, "no used entry came"
            time.sleep(0.001)
        head, length = struct.unpack_from("<II", self.memory.view, self.at(0x2004) + 8 * (self.seen % self.SIZE))
        self.seen = (self.seen + 1) & 0xFFFF
        return head, length

    def ring(self):
        self.client.put(0x4000 + 4 * self.queue, "<H", self.queue)

    def request(self, kind, sector, data=b"", room=0):
        slot, buffers = self.post(kind, sector, data, room)
        self.ring()
        head, length = self.wait()
        assert head == 3 * slot
        status = self.memory.view[self.at(0x3100) + slot]
        return status, bytes(self.memory.view[buffers : buffers + room]), length


def serves(path):
    """The whole way: connect, map, negotiate, write a block, read it back."""
    client = Client(path)
    memory = Memory(client)
    blk = Blk(client, memory)
    pattern = os.urandom(4096)
    assert blk.request(1, 8, data=pattern)[0] == 0
    status, back, length = blk.request(0, 8, room=4096)
    assert status == 0 and back == pattern and length == 4097, (status, length)
    client.close()
    memory.close()
